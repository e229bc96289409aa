// Reading a curve between its points.

import type { TierCurve } from 'attentionstore/protocol'

export interface Estimate {
  readonly hitRate: number
  /** Half width of the 95 % interval. */
  readonly error: number
}

interface Knot extends Estimate {
  readonly at: number
}

/** Straight lines between knots of ascending `at`; beyond the ends the end's value. */
function between(knots: readonly Knot[], at: number): Estimate {
  const index = knots.findIndex((knot) => knot.at >= at)
  const right = knots[index === -1 ? knots.length - 1 : index]
  const left = knots[index - 1]
  if (!right) return { hitRate: 0, error: 0 }
  if (!left || index === -1 || right.at === left.at) return right
  const share = (at - left.at) / (right.at - left.at)
  const mix = (from: number, to: number) => from + share * (to - from)
  return { hitRate: mix(left.hitRate, right.hitRate), error: mix(left.error, right.error) }
}

/** The estimate at a capacity in bytes. */
export function estimateAt({ points, current }: Pick<TierCurve, 'points' | 'current'>, bytes: number): Estimate {
  // The tier's present capacity is a point of the curve too.
  const all = [...points.filter((point) => point.bytes !== current.bytes), current]
  const knots = all.map(({ bytes: at, hitRate, error }) => ({ at, hitRate, error })).toSorted((a, b) => a.at - b.at)
  return between(knots, bytes)
}

/** What `addBytes` more would bring; the error is that of the difference, which is smaller than that of either. */
export function gainOf(curve: TierCurve, addBytes: number): { readonly from: number; readonly to: number; readonly error: number } {
  const from = curve.current.hitRate
  const to = estimateAt(curve, curve.capacityBytes + addBytes).hitRate
  const knots = [{ at: 0, hitRate: 0, error: 0 }, ...curve.gains.map(({ addBytes: at, to: hitRate, error }) => ({ at, hitRate, error }))]
  return { from, to, error: between(knots.toSorted((a, b) => a.at - b.at), addBytes).error }
}

/** How much more the slider offers: to the end of the curve, at least as much as there is. */
export function mostToAdd({ points, capacityBytes }: Pick<TierCurve, 'points' | 'capacityBytes'>): number {
  return Math.max(capacityBytes, (points.at(-1)?.bytes ?? 0) - capacityBytes)
}
