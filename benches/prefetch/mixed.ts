// Conversations that come back to histories on disk and new chats between them, with prefetching and without, in bursts
// and steadily.

import { demoteAll, metricWith } from '../../test/support/cache.js'
import type { TestServer } from '../../test/support/server.js'
import type { BenchContext } from '../support/bench.js'
import { median, show } from '../support/figures.js'
import type { History } from '../ttft/history.js'
import { comeBack, gapsOf, play, shortChat, type Arrival, type Played } from './load.js'
import { HISTORY_TOKENS, readMs, start, type Stored } from './stored.js'

const ANSWER_TOKENS = 12
const CHAT_ANSWER_TOKENS = 4
/** A third of the requests are new. */
const RETURNS_A_CHAT = 2
/** Mean gap between arrivals over the longer of reading a history and computing a turn. Steady: nine tenths of what can be done. */
const GAP_FACTORS = { steady: 1 / (0.9 * (1 + 1 / RETURNS_A_CHAT)), burst: 0.3 } as const
/** A conversation that was asked once is not new to a second server that finds the same store. */
const FIRST_ROUND = { on: 0, off: 500 } as const
/** One history at a time and a chat beside it: hbm is what is scarce. */
const TIGHT = ['--hbm-bytes', '68MiB']

export type Shape = keyof typeof GAP_FACTORS
export const SHAPES = ['steady', 'burst'] as const satisfies readonly Shape[]

export interface MixedRun {
  readonly answers: Readonly<Record<Shape, readonly Played[]>>
  readonly prefetched: number
  /** Milliseconds of a returning turn whose history is in memory, and from arrival to arrival. */
  readonly computeMs: number
  readonly gapMs: Readonly<Record<Shape, number>>
}

/** Milliseconds from arrival to the end of a returning turn whose history is in memory already. */
async function turnMs(server: TestServer, history: History, firstRound: number): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < 4; round++) {
    const { ttftMs, restMs } = await comeBack(server, history, firstRound + 400 + round, ANSWER_TOKENS)
    if (round > 0) times.push(ttftMs + restMs)
  }
  return median(times)
}

interface ShapeOptions {
  readonly rounds: number
  readonly firstRound: number
  readonly gapMs: number
}

async function playShape(server: TestServer, { histories }: Stored, { rounds, firstRound, gapMs }: ShapeOptions): Promise<Played[]> {
  const answers: Played[] = []
  for (let round = 0; round < rounds; round++) {
    await demoteAll(server, 'ssd')
    const number = firstRound + round
    const arrivals: Arrival[] = histories.flatMap((history, i) => {
      const back = () => comeBack(server, history, number, ANSWER_TOKENS)
      return i % RETURNS_A_CHAT === 0 ? [back, shortChat(server, 100 * number + i, CHAT_ANSWER_TOKENS)] : [back]
    })
    answers.push(...(await play(arrivals, gapsOf(arrivals.length, gapMs, round + 1))))
  }
  return answers
}

/** `gaps`: of the run that this one is compared with; null: from what a turn takes. */
export async function playMixed(context: BenchContext, stored: Stored, isOn: boolean, gaps: MixedRun['gapMs'] | null): Promise<MixedRun> {
  const rounds = context.quick ? 1 : 3
  const firstRound = FIRST_ROUND[isOn ? 'on' : 'off']
  const server = await start(context, stored.home, isOn ? TIGHT : [...TIGHT, '--no-prefetch'])
  const computeMs = await turnMs(server, stored.histories[0] as History, firstRound)
  const turn = Math.max(computeMs, readMs(HISTORY_TOKENS))
  const gapMs = gaps ?? { steady: GAP_FACTORS.steady * turn, burst: GAP_FACTORS.burst * turn }
  context.progress(`${isOn ? 'with' : 'without'} prefetching, an arrival every ${show(gapMs.steady)} ms, then every ${show(gapMs.burst)} ms`)
  const steady = await playShape(server, stored, { rounds, firstRound, gapMs: gapMs.steady })
  const burst = await playShape(server, stored, { rounds, firstRound: firstRound + rounds, gapMs: gapMs.burst })
  const answers = { steady, burst }
  const prefetched = await metricWith(server, 'attentionstore_prefetched_blocks_total', 'outcome="fetched"')
  await server.stop()
  return { answers, prefetched, computeMs, gapMs }
}
