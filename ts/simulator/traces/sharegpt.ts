// ShareGPT sessions: lengths of their turns only. When people come and come back is drawn from a seed: sessions start as
// a Poisson process of one a second, and the gaps between a session's turns are those of the Mooncake trace.

import { z } from 'zod'
import { BLOCK_TOKENS } from '../../engine/types.js'
import { exponential } from '../random.js'
import type { TraceFormat } from './format.js'
import type { TraceRequest } from './trace.js'

const count = z.int().nonnegative()
const session = z.object({ turns: z.array(z.object({ prompt: count, output: count })) })

const MEAN_START_GAP_MS = 1000

/** Seconds: the 0 %, 5 %, … 100 % quantiles of the gaps between turns in the Mooncake conversation trace. */
const GAP_QUANTILES = [0, 30, 42, 51, 60, 66, 75, 84, 96, 108, 123, 138, 162, 189, 222, 264, 318, 390, 483, 618, 3030] as const

/** Milliseconds between the arrivals of two turns: linear between the quantiles. */
function turnGap(random: () => number): number {
  const place = random() * (GAP_QUANTILES.length - 1)
  const below = Math.floor(place)
  const low = GAP_QUANTILES[below] ?? 0
  const high = GAP_QUANTILES[below + 1] ?? low
  return (low + (high - low) * (place - below)) * 1000
}

interface Turn {
  readonly prompt: number
  readonly output: number
}

/** Block i of a session is the same one for all its turns: a block that is filled on keeps its place. */
function requestsOf(turns: readonly Turn[], start: number, id: (index: number) => number, random: () => number): TraceRequest[] {
  let atMs = start
  let before = 0
  return turns.map(({ prompt, output }) => {
    const request = {
      atMs,
      inputTokens: prompt,
      outputTokens: output,
      reusableTokens: Math.min(prompt, before),
      blocks: Int32Array.from({ length: Math.ceil((prompt + output) / BLOCK_TOKENS) }, (_, index) => id(index)),
      promptBlocks: Math.ceil(prompt / BLOCK_TOKENS),
      hasPartialTail: (prompt + output) % BLOCK_TOKENS !== 0,
    }
    before = prompt + output
    atMs += turnGap(random)
    return request
  })
}

export const sharegpt: TraceFormat = {
  name: 'ShareGPT sessions',
  blockTokens: BLOCK_TOKENS,
  open({ ids, random }) {
    let start = 0
    return (value) => {
      const parsed = session.safeParse(value)
      if (!parsed.success) return null
      start += exponential(random, MEAN_START_GAP_MS)
      return requestsOf(parsed.data.turns, start, ids.scope(), random)
    }
  },
}
