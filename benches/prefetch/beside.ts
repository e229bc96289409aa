// Whether a long load holds up the others: the same chats alone and beside long histories that are read and joined, in
// turns, so that what changes on the machine meanwhile changes both.

import { demoteAll } from '../../test/support/cache.js'
import type { TestServer } from '../../test/support/server.js'
import type { BenchContext } from '../support/bench.js'
import { gapsOf, play, returning, shortChat, type Arrival, type Played } from './load.js'
import { AMPLE, start, type Stored } from './stored.js'

const ANSWER_TOKENS = 4
/** Mean milliseconds between two chats: one takes about half as long. */
const GAP_MS = 300
const CHATS_A_LONG = 8
const WARM_UP_CHATS = 20
/** Rounds of chats alone and beside: with 24 chats a round, a twentieth of them is enough for a 95th percentile. */
const ROUNDS = 10

export interface BesideRun {
  readonly alone: readonly Played[]
  readonly beside: readonly Played[]
  readonly longs: readonly Played[]
}

/** Chats that were sent while a long history was being read or computed on. */
export function during({ beside, longs }: BesideRun): Played[] {
  return beside.filter(({ sentMs }) => longs.some((long) => sentMs >= long.sentMs && sentMs < long.sentMs + long.ttftMs))
}

/** The long ones come in the middle of each group of chats, with the next chat. */
async function playTurn(server: TestServer, { longs }: Stored, turn: number, isBeside: boolean): Promise<{ chats: Played[]; longs: Played[] }> {
  const count = CHATS_A_LONG * longs.length
  const gaps = gapsOf(count, GAP_MS, turn + 1)
  const arrivals: Arrival[] = []
  const untilNext: number[] = []
  const isLong: boolean[] = []
  const add = (arrival: Arrival, gapMs: number, long: boolean) => {
    arrivals.push(arrival)
    untilNext.push(gapMs)
    isLong.push(long)
  }
  for (let i = 0; i < count; i++) {
    const long = i % CHATS_A_LONG === CHATS_A_LONG / 2 ? longs[Math.floor(i / CHATS_A_LONG)] : undefined
    if (isBeside && long) add(returning(server, long, turn, 1), 0, true)
    add(shortChat(server, 9000 + 200 * turn + (isBeside ? 100 : 0) + i, ANSWER_TOKENS), gaps[i] ?? 0, false)
  }
  const played = await play(arrivals, untilNext)
  return { chats: played.filter((_, i) => !isLong[i]), longs: played.filter((_, i) => isLong[i]) }
}

export async function playBeside(context: BenchContext, stored: Stored): Promise<BesideRun> {
  const server = await start(context, stored.home, AMPLE)
  await play(Array.from({ length: WARM_UP_CHATS }, (_, i) => shortChat(server, 8000 + i, ANSWER_TOKENS)), gapsOf(WARM_UP_CHATS, GAP_MS, 99))
  const [alone, beside, longs]: Played[][] = [[], [], []]
  for (let turn = 0; turn < (context.quick ? 1 : ROUNDS); turn++) {
    context.progress(`chats alone, then beside long loads, turn ${turn + 1}`)
    for (const isBeside of [false, true]) {
      await demoteAll(server, 'ssd')
      const played = await playTurn(server, stored, turn, isBeside)
      ;(isBeside ? beside : alone)?.push(...played.chats)
      longs?.push(...played.longs)
    }
  }
  await server.stop()
  return { alone: alone ?? [], beside: beside ?? [], longs: longs ?? [] }
}
