// A mixed load whose histories lie on a disk of 200 MB/s, with prefetching and without; and whether a long load holds up
// the others. The real server and model.

import { demoteAll, metricWith } from '../../test/support/cache.js'
import { temporaryFolder } from '../../test/support/paths.js'
import { TestServer } from '../../test/support/server.js'
import type { Bar, Bench, BenchContext, Report, Table } from '../support/bench.js'
import { median, quantile, show, showRatio } from '../support/figures.js'
import type { TimedAnswer } from '../support/server.js'
import { playHistory, returnTo, type History } from '../ttft/history.js'
import { gapsOf, play, returning, shortChat, type Arrival } from './load.js'

const LIMIT = 200e6
/** bf16 keys and values of one token in all layers of the default model. */
const KV_BYTES = 2 * 30 * 192 * 2
const HISTORY_TOKENS = 2400
const LONG_TOKENS = 4000
const ANSWER_TOKENS = 4
/** A third of the requests are new. */
const RETURNS_A_CHAT = 2
/** Mean gap between arrivals, over the longer of reading a history and computing a turn: bursts, so that a queue exists. */
const GAP_FACTOR = 0.3
const ASKED_RATIO = 0.6
const ASKED_HINDRANCE = 1.1
/** One history at a time and a chat beside it. */
const TIGHT = ['--hbm-bytes', '68MiB']
const AMPLE = ['--hbm-bytes', '512MiB']

interface Stored {
  readonly home: string
  readonly histories: readonly History[]
  readonly long: History
}

function start(context: BenchContext, home: string, args: readonly string[]): Promise<TestServer> {
  const tiers = ['--dram-bytes', '768MiB', '--ssd-bytes', '2GiB', '--ssd-read-limit', `${LIMIT}B/s`]
  return TestServer.start({ args: ['--model', context.modelPath, '--threads', String(context.threads), ...tiers, ...args], home })
}

async function store(context: BenchContext, count: number): Promise<Stored> {
  const home = temporaryFolder()
  const server = await start(context, home, AMPLE)
  const histories: History[] = []
  for (let i = 0; i < count; i++) {
    context.progress(`history ${i + 1} of ${count + 1}`)
    histories.push(await playHistory(server, HISTORY_TOKENS, 1000 * (i + 1)))
  }
  const long = await playHistory(server, LONG_TOKENS, 500_000)
  await server.stop()
  return { home, histories, long }
}

/** Milliseconds from arrival to the end of a returning turn whose history is in memory already. */
async function turnMs(server: TestServer, history: History): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < 3; round++) {
    const { ttftMs, restMs } = await returnTo(server, history, 900 + round, ANSWER_TOKENS)
    if (round > 0) times.push(ttftMs + restMs)
  }
  return median(times)
}

interface Measured {
  readonly answers: readonly TimedAnswer[]
  readonly prefetched: number
}

async function playMixed(server: TestServer, { histories }: Stored, rounds: number, gapMs: number): Promise<Measured> {
  const answers: TimedAnswer[] = []
  for (let round = 0; round < rounds; round++) {
    await demoteAll(server, 'ssd')
    const arrivals: Arrival[] = histories.flatMap((history, i) => {
      const back = returning(server, history, round, ANSWER_TOKENS)
      return i % RETURNS_A_CHAT === 0 ? [back, shortChat(server, 100 * round + i, ANSWER_TOKENS)] : [back]
    })
    answers.push(...(await play(arrivals, gapsOf(arrivals.length, gapMs, round + 1))))
  }
  return { answers, prefetched: await metricWith(server, 'attentionstore_prefetched_blocks_total', 'outcome="fetched"') }
}

/** The same arrivals with prefetching and without. */
async function mixed(context: BenchContext, stored: Stored): Promise<{ on: Measured; off: Measured; gapMs: number; computeMs: number }> {
  const rounds = context.quick ? 1 : 3
  const on = await start(context, stored.home, TIGHT)
  const computeMs = await turnMs(on, stored.histories[0] as History)
  const gapMs = GAP_FACTOR * Math.max(computeMs, readMs(HISTORY_TOKENS))
  context.progress(`with prefetching, an arrival every ${show(gapMs)} ms`)
  const measured = await playMixed(on, stored, rounds, gapMs)
  await on.stop()
  context.progress('without')
  const off = await start(context, stored.home, [...TIGHT, '--no-prefetch'])
  await turnMs(off, stored.histories[0] as History)
  const without = await playMixed(off, stored, rounds, gapMs)
  await off.stop()
  return { on: measured, off: without, gapMs, computeMs }
}

const readMs = (tokens: number) => (1000 * tokens * KV_BYTES) / LIMIT

/** Chats alone, and the same chats while a long history is read. */
async function hindrance(context: BenchContext, stored: Stored, chatMs: number): Promise<{ alone: TimedAnswer[]; beside: TimedAnswer[]; long: TimedAnswer }> {
  const count = context.quick ? 12 : 40
  const server = await start(context, stored.home, AMPLE)
  const gaps = gapsOf(count, 2 * chatMs, 7)
  const chats = (from: number) => Array.from({ length: count }, (_, i) => shortChat(server, from + i, ANSWER_TOKENS))
  context.progress(`${count} chats alone, then beside a long load`)
  await shortChat(server, 8000, ANSWER_TOKENS)()
  const alone = await play(chats(9000), gaps)
  const arrivals = chats(9500)
  arrivals.splice(count >> 2, 0, returning(server, stored.long, 0, 1))
  const beside = await play(arrivals, gaps.toSpliced(count >> 2, 0, 0))
  const [long] = beside.splice(count >> 2, 1) as [TimedAnswer]
  await server.stop()
  return { alone, beside, long }
}

const ttfts = (answers: readonly TimedAnswer[]) => answers.map(({ ttftMs }) => ttftMs)

function rowOf(name: string, answers: readonly TimedAnswer[], prefetched: string): string[] {
  const times = ttfts(answers)
  return [name, String(times.length), show(quantile(times, 0.5)), show(quantile(times, 0.95)), show(Math.max(...times)), prefetched]
}

async function run(context: BenchContext): Promise<Report> {
  const stored = await store(context, context.quick ? 5 : 10)
  const { on, off, gapMs, computeMs } = await mixed(context, stored)
  const { alone, beside, long } = await hindrance(context, stored, computeMs)
  const ratio = quantile(ttfts(on.answers), 0.95) / quantile(ttfts(off.answers), 0.95)
  const hindered = quantile(ttfts(beside), 0.95) / quantile(ttfts(alone), 0.95)
  const columns = ['load', 'requests', 'p50', 'p95', 'longest', 'blocks prefetched']
  const tables: Table[] = [
    {
      title: `Time to first token with the disk at ${LIMIT / 1e6} MB/s, milliseconds`,
      columns,
      rows: [
        rowOf('mixed, with prefetching', on.answers, String(on.prefetched)),
        rowOf('mixed, without', off.answers, String(off.prefetched)),
        rowOf('chats alone', alone, '–'),
        rowOf(`chats beside a load of ${LONG_TOKENS.toLocaleString('en')} tokens`, beside, '–'),
      ],
    },
  ]
  const bar = (label: string, answers: readonly TimedAnswer[]): Bar => {
    const times = ttfts(answers)
    return { label, value: quantile(times, 0.95), low: quantile(times, 0.5), high: Math.max(...times), limit: null }
  }
  return {
    tables,
    plots: [
      { title: 'Mixed load: p95 of the time to first token, from the median to the longest', unit: 'ms', bars: [bar('with prefetching', on.answers), bar('without', off.answers)] },
    ],
    notes: [
      `reading a history takes ${show(readMs(HISTORY_TOKENS))} ms, a turn ${show(computeMs)} ms, in a burst a request comes every ${show(gapMs)} ms`,
      `p95 with prefetching over p95 without: ${showRatio(ratio)} (at most ${ASKED_RATIO}× asked): ${ratio <= ASKED_RATIO ? 'met' : 'NOT met'}`,
      `p95 of chats beside the long load (${show(long.ttftMs)} ms) over that alone: ${showRatio(hindered)} (at most ${ASKED_HINDRANCE}× asked): ${hindered <= ASKED_HINDRANCE ? 'met' : 'NOT met'}`,
    ],
    data: { gap_ms: gapMs, compute_ms: computeMs, on: ttfts(on.answers), off: ttfts(off.answers), alone: ttfts(alone), beside: ttfts(beside), long_ms: long.ttftMs },
  }
}

export const prefetch: Bench = { name: 'prefetch', about: 'a mixed load from disk with prefetching and without; a long load beside others', run }
