// Time to first token of a turn that returns to a history of 4,000 tokens with about 32 new ones: from each tier, against
// the tier's own measured rate and against computing everything.

import { demoteAll } from '../../test/support/cache.js'
import { TestServer } from '../../test/support/server.js'
import { TIER_NAMES, type TierName } from '../../ts/protocol/index.js'
import type { Bar, Bench, BenchContext, Plot, Report, Table } from '../support/bench.js'
import { barOf, median, show, showRatio, showSpread } from '../support/figures.js'
import type { TimedAnswer } from '../support/server.js'
import { playHistory, returnTo, type History } from './history.js'
import { ratesDuring, type Rates } from './rates.js'

const HISTORY_TOKENS = 4000
/** bf16 keys and values of one token in all layers of the default model. */
const KV_BYTES = 2 * 30 * 192 * 2
/** What "Done" allows over the ideal: a factor, and milliseconds. */
const FACTOR = 1.15
const SLACK_MS = 15
/** Least speed-up over computing everything. */
const SPEED_UP: Readonly<Record<TierName, number>> = { hbm: 20, dram: 20, ssd: 10 }

interface TierTimes {
  readonly tier: TierName
  readonly ttft: Bar
  readonly reused: number
  readonly computed: number
  /** Time to move the reused tokens at the measured rate; time that the engine computed, without waiting for loads. */
  readonly moveMs: number
  readonly prefillMs: number
}

const reusedOf = ({ usage }: TimedAnswer, tier: TierName) => usage.attentionstore.reused_tokens[tier]

/** One returning turn from `tier`, and what the server's transfers did meanwhile. */
async function returnFrom(server: TestServer, history: History, tier: TierName, round: number): Promise<{ answer: TimedAnswer; rates: Rates }> {
  if (tier !== 'hbm') await demoteAll(server, tier)
  const { result, rates } = await ratesDuring(server, () => returnTo(server, history, round))
  return { answer: result, rates }
}

async function measureTier(server: TestServer, history: History, tier: TierName, rounds: number, firstRound: number): Promise<TierTimes> {
  const turns: { answer: TimedAnswer; rates: Rates }[] = []
  for (let round = 0; round < rounds; round += 1) turns.push(await returnFrom(server, history, tier, firstRound + round))
  const middle = (of: (turn: (typeof turns)[number]) => number) => median(turns.map(of))
  const reused = middle(({ answer }) => reusedOf(answer, tier))
  const rate = tier === 'hbm' ? Infinity : middle(({ rates }) => (tier === 'dram' ? rates.load : rates.read))
  return {
    tier,
    ttft: barOf(`history in ${tier}`, turns.map(({ answer }) => answer.ttftMs)),
    reused,
    computed: middle(({ answer }) => answer.usage.attentionstore.computed_tokens),
    moveMs: (1000 * reused * KV_BYTES) / rate,
    prefillMs: middle(({ rates }) => rates.computeMs),
  }
}

/** The bound of a tier: moving hides behind computing, except from the disk. */
function boundMs({ tier, moveMs }: TierTimes, prefillMs: number): number {
  const ideal = tier === 'ssd' ? moveMs + prefillMs : Math.max(moveMs, prefillMs)
  return FACTOR * ideal + SLACK_MS
}

function toTable(tiers: readonly TierTimes[], prefillMs: number, recompute: Bar): Table {
  return {
    title: `Time to first token of a returning turn (history of ${HISTORY_TOKENS.toLocaleString('en')} tokens), milliseconds`,
    columns: ['history in', 'reused', 'computed', 'to first token', 'allowed', 'ideal move', 'faster than computing all'],
    rows: [
      ...tiers.map((times) => [
        times.tier,
        String(times.reused),
        String(times.computed),
        showSpread(times.ttft),
        show(boundMs(times, prefillMs)),
        times.tier === 'hbm' ? '–' : show(times.moveMs),
        showRatio(recompute.value / times.ttft.value),
      ]),
      ['nowhere', '0', 'all', showSpread(recompute), '–', '–', showRatio(1)],
    ],
  }
}

function judge(times: TierTimes, prefillMs: number, recomputeMs: number): string {
  const bound = boundMs(times, prefillMs)
  const ttftMs = times.ttft.value
  const speedUp = recomputeMs / ttftMs
  const isMet = ttftMs <= bound && speedUp >= SPEED_UP[times.tier]
  return `${times.tier}: ${isMet ? 'met' : 'NOT met'} (${show(ttftMs)} ms of ${show(bound)} allowed; ${showRatio(speedUp)} of ${SPEED_UP[times.tier]}× asked)`
}

/** The bounds are the marks. Computing everything is a plot of its own, since it dwarfs the others. */
function toPlots(tiers: readonly TierTimes[], prefillMs: number, recompute: Bar): Plot[] {
  const title = 'Time to first token of a returning turn'
  return [
    { title, unit: 'ms', bars: tiers.map((times) => ({ ...times.ttft, limit: boundMs(times, prefillMs) })) },
    { title: `${title}, beside computing everything`, unit: 'ms', bars: [...tiers.map(({ ttft }) => ttft), recompute] },
  ]
}

async function measureRecompute(context: BenchContext, history: History, rounds: number): Promise<Bar> {
  const args = ['--model', context.modelPath, '--threads', String(context.threads), '--no-reuse', '--hbm-bytes', '512MiB']
  const server = await TestServer.start({ args })
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) times.push((await returnTo(server, history, round)).ttftMs)
  await server.stop()
  return barOf('computing everything', times)
}

async function run(context: BenchContext): Promise<Report> {
  const rounds = context.quick ? 3 : 5
  const tierBytes = ['--hbm-bytes', '512MiB', '--dram-bytes', '1GiB', '--ssd-bytes', '2GiB']
  const server = await TestServer.start({ args: ['--model', context.modelPath, '--threads', String(context.threads), ...tierBytes] })
  context.progress(`computing a history of ${HISTORY_TOKENS} tokens`)
  const history = await playHistory(server, HISTORY_TOKENS)
  await returnTo(server, history, 0)
  const tiers: TierTimes[] = []
  for (const [index, tier] of TIER_NAMES.entries()) {
    context.progress(`${rounds} returning turns from ${tier}`)
    tiers.push(await measureTier(server, history, tier, rounds, 1 + index * rounds))
  }
  await server.stop()
  context.progress('computing everything')
  const recompute = await measureRecompute(context, history, context.quick ? 1 : 2)
  const prefillMs = tiers.find(({ tier }) => tier === 'hbm')?.prefillMs ?? NaN
  return {
    tables: [toTable(tiers, prefillMs, recompute)],
    plots: toPlots(tiers, prefillMs, recompute),
    notes: [`prefill of the new tokens over that context: ${show(prefillMs)} ms`, ...tiers.map((times) => judge(times, prefillMs, recompute.value))],
    data: { history_tokens: history.tokens, prefill_ms: prefillMs, recompute, tiers },
  }
}

export const ttft: Bench = { name: 'ttft', about: 'time to first token of a returning turn, by tier', run }
