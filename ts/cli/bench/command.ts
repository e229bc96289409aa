// `bench`: replays a trace against any OpenAI-compatible server and reports times.

import { writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { API_KEY_VARIABLE } from '../../config/resolve.js'
import { invalidOption, wholeNumber } from '../../config/units.js'
import { ExitError } from '../../protocol/errors.js'
import { readTrace } from '../../simulator/traces/read.js'
import { authorization } from '../client.js'
import type { Terminal } from '../terminal.js'
import { scaleOf } from './prompts.js'
import { replay } from './replay.js'
import { formatReport, reportOf, type BenchReport } from './report.js'

interface BenchValues {
  readonly url: string
  readonly trace: string
  readonly speed: string
  readonly limit?: string
  readonly blockTokens?: string
  readonly json?: string
}

const HELP = `
A trace is any that simulate reads: the log of serve --request-log, Mooncake's, sessions of ShareGPT or of agents, Azure's;
plain, xz or tar. Prompts are token ids made from the block ids, the same on every run; answers have the length of the
trace's.
Answers are the server's own, so a later prompt shares with an earlier one only the part that their prompts share.
Exit code 1: some request failed.
`

export function benchCommand(terminal: Terminal, setExitCode: (code: number) => void): Command {
  return new Command('bench')
    .description('replay a trace against an OpenAI-compatible server: times, throughput, cached tokens')
    .requiredOption('--url <url>', `the server; its key, if it asks for one, in ${API_KEY_VARIABLE}`)
    .requiredOption('--trace <file>', 'the trace')
    .option('--speed <factor>', '2 sends twice as fast as the trace', '1')
    .option('--limit <count>', 'only the first requests of the trace (default: all)')
    .option('--block-tokens <count>', "tokens that one block id stands for; scales lengths with it (default: the trace's)")
    .option('--json <file>', 'write the report there too')
    .addHelpText('after', HELP)
    .action(async (values: BenchValues) => setExitCode(await bench(values, terminal)))
}

async function bench(values: BenchValues, terminal: Terminal): Promise<number> {
  const url = serverUrl(values.url)
  const speed = speedOf(values.speed)
  const limit = values.limit === undefined ? Number.POSITIVE_INFINITY : wholeNumber(1, 1e9)(values.limit, '--limit')
  const blockTokens = values.blockTokens === undefined ? null : wholeNumber(1, 4096)(values.blockTokens, '--block-tokens')
  const trace = await readTrace(values.trace)
  const requests = trace.requests.slice(0, limit)
  const apiKey = terminal.env[API_KEY_VARIABLE] ?? null
  const model = await firstModel(url, apiKey)
  const start = performance.now()
  let ended = 0
  const showProgress = (): void => {
    ended++
    if (terminal.showsProgress) terminal.err(`\r${ended} of ${requests.length} requests`)
  }
  const outcomes = await replay(requests, { url, apiKey, model, speed, scale: scaleOf(trace, blockTokens) }, showProgress)
  if (terminal.showsProgress) terminal.err('\n')
  const report = reportOf(outcomes, (performance.now() - start) / 1000)
  terminal.out(formatReport(report))
  if (values.json !== undefined) writeReport(values.json, { url, model, trace: values.trace, speed }, report)
  return report.requests.failed === 0 ? 0 : 1
}

/** With or without `/v1` at its end. */
function serverUrl(url: string): string {
  if (URL.canParse(url) && /^https?:/.test(url)) return url.replace(/\/+$/, '').replace(/\/v1$/, '')
  throw invalidOption('--url', `${JSON.stringify(url)} is not an http or https URL`)
}

function speedOf(value: string): number {
  const speed = Number(value)
  if (Number.isFinite(speed) && speed > 0) return speed
  throw invalidOption('--speed', `${JSON.stringify(value)} is not a number above 0`)
}

async function firstModel(url: string, apiKey: string | null): Promise<string> {
  try {
    const response = await fetch(`${url}/v1/models`, { headers: authorization(apiKey) })
    if (!response.ok) throw new Error(`status ${response.status}`)
    const { data } = (await response.json()) as { data: ReadonlyArray<{ id: string }> }
    const [model] = data
    if (model === undefined) throw new Error('it serves no model')
    return model.id
  } catch (cause) {
    throw new ExitError(3, 'server_missing', `--url: ${url} does not answer GET /v1/models: ${String(cause)}`, { url }, { cause })
  }
}

function writeReport(path: string, setting: Readonly<Record<string, unknown>>, report: BenchReport): void {
  try {
    writeFileSync(path, `${JSON.stringify({ ...setting, ...report }, null, 2)}\n`)
  } catch (cause) {
    throw new ExitError(2, 'invalid_option', `--json: ${path} cannot be written: ${String(cause)}`, { path }, { cause })
  }
}
