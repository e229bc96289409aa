// A model of a cache leaves things out: blocks of running requests, loads that were not worth it, blocks from before the
// start. The rate that was measured at the present capacity says by how much the model is off; the rest of the curve is
// moved with that point, between nothing and the rate of a cache without a bound.

export interface Anchor {
  /** Hit rates at the present capacity: the model's, and the measured one. */
  readonly modelled: number
  readonly measured: number
  /** The hit rate of a cache without a bound. */
  readonly attainable: number
}

/** A hit rate of the model, moved as the anchor asks: its own becomes the measured one, 0 stays, and the attainable one too. */
export function anchored(rate: number, { modelled, measured, attainable }: Anchor): number {
  if (rate === modelled) return measured
  if (rate < modelled) return (rate * measured) / modelled
  const top = Math.max(attainable, measured)
  // Above what no capacity could reach there is nothing to be moved.
  return attainable <= modelled ? measured : top - ((top - measured) * Math.max(0, attainable - rate)) / (attainable - modelled)
}

/**
 * Half width of the interval of an anchored estimate: that of the sampling, and the move by the anchor, which counts
 * more the further the capacity is from the one that was measured, and whole from half and double of it on.
 */
export function anchoredError(sampling: number, moved: number, ratio: number): number {
  const distance = ratio <= 0 ? 1 : Math.min(1, Math.abs(Math.log2(ratio)))
  return Math.hypot(sampling, moved * distance)
}
