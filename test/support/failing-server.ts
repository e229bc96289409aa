// The program with an engine that a signal makes fail. Run by itself it is a launcher; imported it says where that is.

import { fileURLToPath } from 'node:url'
import { endWith } from '../../ts/cli/exit.js'
import { main } from '../../ts/cli/main.js'
import { processTerminal } from '../../ts/cli/terminal.js'
import { openEngine, type OpenEngine } from '../../ts/engine-choice.js'
import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'

/** The engine fails when the process gets it. */
export const FAIL_SIGNAL = 'SIGUSR2'

/** As options of `TestServer.start`. `hangs`: something of the engine runs on for ever, and its close never ends. */
export function failingServer({ hangs = false } = {}): { launcher: string; env: Record<string, string> } {
  return { launcher: fileURLToPath(import.meta.url), env: { NODE_OPTIONS: `--import=${import.meta.resolve('tsx')}`, HANGS: hangs ? '1' : '' } }
}

const openFailing: OpenEngine = async (places, listeners) => {
  const opened = await openEngine(places, listeners)
  process.once(FAIL_SIGNAL, () => {
    if (opened.engine instanceof SimulatedEngine) opened.engine.fail('device_lost', 'the device is gone')
  })
  if (process.env['HANGS'] !== '1') return opened
  setInterval(() => {}, 1000)
  return { ...opened, close: () => new Promise(() => {}) }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) endWith(await main(process.argv.slice(2), processTerminal, openFailing))
