// Ages of a block since its last use, in bins that grow: 48 from 2 s on, each ending 1.22 times as far as the one before,
// the last beyond five hours. Coarser ones lose half a point where the tier is large: old blocks are then too much alike.

export const AGE_BINS = 48

const FIRST_MS = 2000
const GROWTH = 1.22

/** End of each bin in milliseconds; the last has none. */
const BIN_ENDS_MS: readonly number[] = Array.from({ length: AGE_BINS }, (_, bin) =>
  bin === AGE_BINS - 1 ? Infinity : FIRST_MS * GROWTH ** bin,
)

export function binEnd(bin: number): number {
  return BIN_ENDS_MS[bin] ?? Infinity
}

/** Length of a bin in milliseconds; the last, which has no end, counts as long as its growth would make it. */
export function binWidth(bin: number): number {
  const from = bin === 0 ? 0 : binEnd(bin - 1)
  const to = bin === AGE_BINS - 1 ? from * GROWTH : binEnd(bin)
  return to - from
}
