// History on a disk of several speeds: read, computed again, or both until they meet. The real server and model.

import { temporaryFolder } from '../../test/support/paths.js'
import { TestServer } from '../../test/support/server.js'
import type { Bench, BenchContext, Report } from '../support/bench.js'
import { barOf, show, showRatio } from '../support/figures.js'
import type { TimedAnswer } from '../support/server.js'
import { playHistory, returnTo, type History } from '../ttft/history.js'

/** bf16 keys and values of one token in all layers of the default model. */
const KV_BYTES = 2 * 30 * 192 * 2
const WARM_UP_TOKENS = 400
const ANSWER_TOKENS = 8
const WAYS = ['load', 'recompute', 'auto'] as const
type Way = (typeof WAYS)[number]

/** What "Done" asks: never slower than 0.95 × the better of the two, and 1.5 × as fast where they balance. */
const LEAST_OF_BETTER = 0.95
const LEAST_AT_BALANCE = 1.5

interface Row {
  /** Bytes a second. */
  readonly limit: number
  readonly isBalanced: boolean
  readonly answers: Readonly<Record<Way, TimedAnswer>>
}

interface Stored {
  readonly home: string
  readonly warmUp: History
  readonly history: History
  /** Bytes of KV a second that prefill makes. */
  readonly computeRate: number
}

function argsOf(context: BenchContext): string[] {
  const tiers = ['--hbm-bytes', '256MiB', '--dram-bytes', '512MiB', '--ssd-bytes', '1GiB']
  return ['--model', context.modelPath, '--threads', String(context.threads), ...tiers]
}

/** Two conversations on disk; the larger one's first turn says how fast prefill is. */
async function store(context: BenchContext, tokens: number): Promise<Stored> {
  const home = temporaryFolder()
  const server = await TestServer.start({ args: argsOf(context), home })
  const warmUp = await playHistory(server, WARM_UP_TOKENS, 1000)
  const start = performance.now()
  const history = await playHistory(server, tokens)
  const computeRate = (history.tokens * KV_BYTES * 1000) / (performance.now() - start)
  await server.stop()
  return { home, warmUp, history, computeRate }
}

/** A server that has just started finds everything on disk; the first conversation lets it measure. */
async function comeBack(context: BenchContext, stored: Stored, limit: number, way: Way): Promise<TimedAnswer> {
  const args = [...argsOf(context), '--history', way, '--ssd-read-limit', `${Math.round(limit)}B/s`]
  const server = await TestServer.start({ args, home: stored.home })
  await returnTo(server, stored.warmUp, Math.round(limit), ANSWER_TOKENS)
  const answer = await returnTo(server, stored.history, 1, ANSWER_TOKENS)
  await server.stop()
  return answer
}

async function measure(context: BenchContext, stored: Stored, limit: number, isBalanced: boolean): Promise<Row> {
  const answers: Partial<Record<Way, TimedAnswer>> = {}
  for (const way of WAYS) {
    context.progress(`${way} at ${show(limit / 1e6)} MB/s`)
    answers[way] = await comeBack(context, stored, limit, way)
  }
  return { limit, isBalanced, answers: answers as Record<Way, TimedAnswer> }
}

const better = ({ answers }: Row) => Math.min(answers.load.ttftMs, answers.recompute.ttftMs)

function judge(row: Row): string {
  const { limit, isBalanced, answers } = row
  const gain = better(row) / answers.auto.ttftMs
  const asked = isBalanced ? LEAST_AT_BALANCE : LEAST_OF_BETTER
  const isSame = WAYS.every((way) => answers[way].text === answers.load.text)
  return `${show(limit / 1e6)} MB/s: ${gain >= asked ? 'met' : 'NOT met'} (${showRatio(gain)} of ${asked}× asked), answers ${isSame ? 'equal' : 'DIFFER'}`
}

async function run(context: BenchContext): Promise<Report> {
  const tokens = context.quick ? 800 : 2000
  context.progress(`computing a history of ${tokens} tokens`)
  const stored = await store(context, tokens)
  const balance = stored.computeRate
  const limits = context.quick ? [balance] : [200e6, balance * 4, balance, balance / 4]
  const rows: Row[] = []
  for (const limit of limits) rows.push(await measure(context, stored, limit, limit === balance))
  return {
    tables: [
      {
        title: `Time to first token of a turn that returns to ${tokens.toLocaleString('en')} tokens on disk, milliseconds`,
        columns: ['disk, MB/s', 'load', 'recompute', 'auto', 'of the better', 'computed by auto'],
        rows: rows.map((row) => [
          show(row.limit / 1e6),
          ...WAYS.map((way) => show(row.answers[way].ttftMs)),
          showRatio(better(row) / row.answers.auto.ttftMs),
          `${row.answers.auto.usage.attentionstore.computed_tokens} of ${row.answers.auto.usage.prompt_tokens}`,
        ]),
      },
    ],
    plots: rows.map((row) => ({
      title: `Disk of ${show(row.limit / 1e6)} MB/s: time to first token`,
      unit: 'ms',
      bars: WAYS.map((way) => barOf(way, [row.answers[way].ttftMs])),
    })),
    notes: [`prefill makes ${show(balance / 1e6)} MB of KV a second`, ...rows.map(judge)],
    data: { history_tokens: stored.history.tokens, compute_rate: balance, rows },
  }
}

export const loadOrRecompute: Bench = { name: 'load-or-recompute', about: 'history on disks of several speeds: loaded, computed, or both', run }
