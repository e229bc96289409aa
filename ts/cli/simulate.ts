// `simulate`: what a cache would have done with recorded traffic.

import { writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { Command } from 'commander'
import { bytes, invalidOption, list, oneOf, wholeNumber, type Parser } from '../config/units.js'
import { cpu2 } from '../engine/simulated/profiles/cpu-2.js'
import { ExitError } from '../protocol/errors.js'
import { SIMULATED_POLICIES } from '../simulator/capacity/policies.js'
import { runCapacity, type Capacity, type CapacityResult } from '../simulator/capacity/result.js'
import { reportPage } from '../simulator/report/page.js'
import { readTrace } from '../simulator/traces/read.js'
import type { Trace } from '../simulator/traces/trace.js'
import { progressLine } from './progress.js'
import type { Terminal } from './terminal.js'

interface SimulateValues {
  readonly trace: string
  readonly policy: string
  readonly capacity: string
  readonly lookAhead: string
  readonly json?: string
  readonly report?: string
}

const MOST_LOOK_AHEAD = 1_000_000

const HELP = `
One tier: requests are replayed one at a time in order of arrival, from an empty cache, without a warm-up.
A trace is the log of serve --request-log, Mooncake's JSON lines, ShareGPT sessions, agent sessions (a tar of JSON files) or
Azure's CSV; plain or xz. Policies: ${SIMULATED_POLICIES.join(', ')}; belady knows the future and is the bound.
Times are those of the machine cpu-2 with each request alone on it.
`

export function simulateCommand(terminal: Terminal, setExitCode: (code: number) => void): Command {
  return new Command('simulate')
    .description('replay a trace through a simulated cache: hit rates and times, a policy and capacity at a time')
    .requiredOption('--trace <file>', 'the trace')
    .requiredOption('--capacity <size,…>', "what the tier holds: 5% of the trace's unique blocks, or 4GiB")
    .option('--policy <name,…>', 'which blocks are given up first', 'lru')
    .option('--look-ahead <count>', 'requests to come that the policy is shown', '0')
    .option('--json <file>', 'write the results there too')
    .option('--report <file>', 'write a page with plots there: HTML that needs nothing else')
    .addHelpText('after', HELP)
    .action(async (values: SimulateValues) => setExitCode(await simulate(values, terminal)))
}

/** `5%` or a size. */
const capacity: Parser<Capacity> = (value, option) => {
  const percent = typeof value === 'string' ? /^(\d+(?:\.\d+)?)%$/.exec(value) : null
  if (!percent) return { amount: bytes(0)(value, option), unit: 'bytes' }
  const amount = Number(percent[1])
  if (amount <= 100) return { amount, unit: '%' }
  throw invalidOption(option, `${JSON.stringify(value)} is more than 100%`)
}

async function simulate(values: SimulateValues, terminal: Terminal): Promise<number> {
  const policies = list(oneOf(SIMULATED_POLICIES))(values.policy, '--policy')
  const capacities = list(capacity)(values.capacity, '--capacity')
  const lookAhead = wholeNumber(0, MOST_LOOK_AHEAD)(values.lookAhead, '--look-ahead')
  const trace = await readTrace(values.trace, { onProgress: progressLine(terminal, 'reading the trace') })
  const settings = policies.flatMap((policy) => capacities.map((capacity) => ({ policy, capacity })))
  const onProgress = progressLine(terminal, 'simulating')
  const total = settings.length * trace.requests.length
  const results = settings.map((setting, done) =>
    runCapacity({ trace, ...setting, lookAhead, profile: cpu2 }, (served) => onProgress((done * trace.requests.length + served) / total)),
  )
  terminal.out(summary(trace, results))
  if (values.json !== undefined) write('--json', values.json, `${JSON.stringify(results, null, 2)}\n`)
  if (values.report !== undefined) write('--report', values.report, reportPage(basename(values.trace), trace, results))
  return 0
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

function summary(trace: Trace, results: readonly CapacityResult[]): string {
  const heading = `${trace.format}: ${trace.requests.length} requests, ${trace.uniqueBlocks} unique blocks of ${trace.blockTokens} tokens\n`
  const rows = results.map((result) => [
    result.policy,
    result.capacity_unit === '%' ? `${result.capacity} %` : `${result.capacity} bytes`,
    percent(result.block_hit_rate),
    percent(result.token_hit_rate),
    ...[result.ttft_ms.p50, result.ttft_ms.p95, result.ttft_ms.p99].map((ms) => ms.toFixed(0)),
  ])
  return heading + aligned([['policy', 'capacity', 'block hits', 'token hits', 'ttft p50', 'p95', 'p99 ms'], ...rows])
}

function aligned(rows: ReadonlyArray<readonly string[]>): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => `${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')}\n`).join('')
}

function write(option: string, path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (cause) {
    throw new ExitError(2, 'invalid_option', `${option}: ${path} cannot be written: ${String(cause)}`, { path }, { cause })
  }
}
