// What the `what-if` topic brings: the hit rate that other capacities would have had, estimated while requests pass.

import type { TierName } from './tiers.js'

export interface CurvePoint {
  readonly bytes: number
  /** Estimated share of prompt tokens that are found in this tier or a faster one, 0 … 1. */
  readonly hitRate: number
  /** Half width of the estimate's 95 % interval: of the sampling, and of what measuring moved the model's curve by. */
  readonly error: number
}

/** "+`addBytes` would raise the hit rate from `from` to `to`." */
export interface Gain {
  readonly addBytes: number
  readonly from: number
  readonly to: number
  /** Half width of the 95 % interval of `to` − `from`. */
  readonly error: number
}

export interface TierCurve {
  readonly name: TierName
  readonly capacityBytes: number
  /** At the capacity that the tier has: measured over the requests behind the curve, not estimated. */
  readonly current: CurvePoint
  /** What the model alone says there: how far it is off is in the error of the other points. */
  readonly modelledHitRate: number
  /** Ascending capacities, from nothing to where the curve is flat. */
  readonly points: readonly CurvePoint[]
  readonly gains: readonly Gain[]
}

export interface WhatIf {
  /** Requests behind the curves, recent ones weighing more. */
  readonly requests: number
  /** Share of blocks that are followed, 0 … 1, and how many these are. */
  readonly samplingRate: number
  readonly sampledBlocks: number
  /** How it is estimated, in a sentence for the reader. */
  readonly method: string
  /** The policy in use, whose curves these are. */
  readonly policy: string
  readonly tiers: readonly TierCurve[]
}
