// Runs one suite: its output goes to the terminal as it comes and through the suite's reader.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Suite } from './suites.js'
import type { SlowestTests } from './slowest.js'
import type { OutputReader, Tally } from './tally.js'

/** Returns the line of the last test that ended, in either runner's words; '' if none did. */
async function readLines(stream: Readable, reader: OutputReader, slowest: SlowestTests): Promise<string> {
  let last = ''
  for await (const line of createInterface({ input: stream })) {
    process.stdout.write(`${line}\n`)
    reader.line(line)
    if (!/^(ok|not ok|test) /.test(line)) continue
    last = line
    slowest.ended(line)
  }
  return last
}

/**
 * A runner that fails without naming a failed test (a crash, a compile error) counts as one failure. `slowest` hears of
 * each test that ends.
 */
export async function runSuite(name: string, suite: Suite, slowest: SlowestTests): Promise<Tally> {
  const reader = suite.reader()
  const child = spawn(suite.command, [...suite.args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(code === 0 ? '' : `exit ${code ?? signal}`))
  })
  const last = await readLines(child.stdout, reader, slowest)
  const problem = await exit
  if (problem !== '' && reader.tally.failed.length === 0) {
    reader.tally.failed.push(`${suite.command} (${problem}), after: ${last}`)
  }
  const { tally } = reader
  if (problem === '' && tally.passed + tally.failed.length + tally.skipped.length === 0) {
    tally.failed.push(`the ${name} suite ran no test`)
  }
  return tally
}
