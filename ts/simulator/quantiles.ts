// Quantiles of what was measured.

export interface Quantiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

/** Nearest rank; 0 of nothing. */
export function quantiles(values: Float64Array): Quantiles {
  const sorted = values.toSorted()
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}
