// The miss-ratio curve: one tier at growing shares of the trace's unique blocks.

import type { Trace } from '../traces/trace.js'
import type { SimulatedPolicy } from './policies.js'
import { replayCapacity } from './replay.js'

export interface CurvePoint {
  readonly policy: SimulatedPolicy
  /** Percent of the unique blocks. */
  readonly share: number
  readonly blocks: number
  /** 0 … 1, of prompt blocks. */
  readonly missRate: number
}

const SHARES = [1, 2, 5, 10, 20, 50, 100] as const

export function missCurveOf(trace: Trace, policies: readonly SimulatedPolicy[]): CurvePoint[] {
  return policies.flatMap((policy) =>
    SHARES.map((share) => {
      const blocks = Math.round((trace.uniqueBlocks * share) / 100)
      const { hitBlocks, promptBlocks } = replayCapacity(trace, { policy, capacityBlocks: blocks, lookAhead: 0 })
      return { policy, share, blocks, missRate: promptBlocks === 0 ? 0 : 1 - hitBlocks / promptBlocks }
    }),
  )
}
