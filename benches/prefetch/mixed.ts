// Conversations that come back to histories on disk and new chats between them, with prefetching and without, in bursts
// and steadily.

import { demoteAll, metricWith } from '../../test/support/cache.js'
import type { TestServer } from '../../test/support/server.js'
import type { BenchContext } from '../support/bench.js'
import { median, show } from '../support/figures.js'
import { returnTo, type History } from '../ttft/history.js'
import { gapsOf, play, returning, shortChat, type Arrival, type Played } from './load.js'
import { HISTORY_TOKENS, readMs, start, type Stored } from './stored.js'

const ANSWER_TOKENS = 4
/** A third of the requests are new. */
const RETURNS_A_CHAT = 2
/** Mean gap between arrivals over the time in which a history can be read. Steady: nine tenths of what the disk can do. */
const GAP_FACTORS = { steady: 1 / (0.9 * (1 + 1 / RETURNS_A_CHAT)), burst: 0.3 } as const
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
async function turnMs(server: TestServer, history: History): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < 4; round++) {
    const { ttftMs, restMs } = await returnTo(server, history, 900 + round, ANSWER_TOKENS)
    if (round > 0) times.push(ttftMs + restMs)
  }
  return median(times)
}

async function playShape(server: TestServer, { histories }: Stored, shape: Shape, rounds: number): Promise<Played[]> {
  const answers: Played[] = []
  for (let round = 0; round < rounds; round++) {
    await demoteAll(server, 'ssd')
    const number = 10 * SHAPES.indexOf(shape) + round
    const arrivals: Arrival[] = histories.flatMap((history, i) => {
      const back = returning(server, history, number, ANSWER_TOKENS)
      return i % RETURNS_A_CHAT === 0 ? [back, shortChat(server, 100 * number + i, ANSWER_TOKENS)] : [back]
    })
    answers.push(...(await play(arrivals, gapsOf(arrivals.length, gapMsOf(shape), number + 1))))
  }
  return answers
}

const gapMsOf = (shape: Shape) => GAP_FACTORS[shape] * readMs(HISTORY_TOKENS)

export async function playMixed(context: BenchContext, stored: Stored, isOn: boolean): Promise<MixedRun> {
  const rounds = context.quick ? 1 : 3
  const server = await start(context, stored.home, isOn ? TIGHT : [...TIGHT, '--no-prefetch'])
  const computeMs = await turnMs(server, stored.histories[0] as History)
  const gapMs = { steady: gapMsOf('steady'), burst: gapMsOf('burst') }
  context.progress(`${isOn ? 'with' : 'without'} prefetching, an arrival every ${show(gapMs.steady)} ms, then every ${show(gapMs.burst)} ms`)
  const answers = { steady: await playShape(server, stored, 'steady', rounds), burst: await playShape(server, stored, 'burst', rounds) }
  const prefetched = await metricWith(server, 'attentionstore_prefetched_blocks_total', 'outcome="fetched"')
  await server.stop()
  return { answers, prefetched, computeMs, gapMs }
}
