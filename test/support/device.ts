// The device that the suites ask: ATTENTIONSTORE_TEST_DEVICE, by default the CPU.

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isGpu } from '../../ts/device-choice.js'

const VARIABLE = 'ATTENTIONSTORE_TEST_DEVICE'

export const DEVICE = process.env[VARIABLE] ?? 'cpu'
export const ON_GPU = isGpu(DEVICE)

/** Compiled kernels of a GPU, shared by all engines of the tests; the native tests' folder. */
export const KERNELS = join(tmpdir(), 'attentionstore-test-kernels')

/** For a server: this process's variables, and the tests' device in place of one that suits the machine. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  // To a server the suites' variable would be an option that it does not know.
  const { [VARIABLE]: _, ...rest } = process.env
  return { ...rest, ATTENTIONSTORE_DEVICE: DEVICE }
}
