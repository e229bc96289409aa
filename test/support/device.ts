// The device that the suites ask: ATTENTIONSTORE_TEST_DEVICE, by default the CPU.

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isGpu } from '../../ts/device-choice.js'

/** The prefix of the tests' variables; to a server they would be options that it does not know. */
const PREFIX = 'ATTENTIONSTORE_TEST_'

export const DEVICE = process.env[`${PREFIX}DEVICE`] ?? 'cpu'
export const ON_GPU = isGpu(DEVICE)

/** Compiled kernels of a GPU, shared by all engines of the tests; the native tests' folder. */
export const KERNELS = join(tmpdir(), 'attentionstore-test-kernels')

/** For a server: this process's variables, and the tests' device in place of one that suits the machine. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith(PREFIX))
  return { ...Object.fromEntries(kept), ATTENTIONSTORE_DEVICE: DEVICE }
}
