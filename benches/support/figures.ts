// Figures: medians with their spread, and how they are written.

import type { Bar } from './bench.js'

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle]
  if (upper === undefined) return NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}

/** The median of some rounds, with the least and the greatest. */
export function barOf(label: string, samples: readonly number[], limit: number | null = null): Bar {
  return { label, value: median(samples), low: Math.min(...samples), high: Math.max(...samples), limit }
}

/** The value that the share `q` of all does not exceed. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? NaN
}

/** Three significant digits at least, no more than one decimal above 100. */
export function show(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

export const showRatio = (value: number) => `${show(value)}×`
export const showShare = (value: number) => `${show(value * 100)} %`
/** `12.3 (11.9 … 14.0)`. */
export const showSpread = ({ value, low, high }: Bar) => `${show(value)} (${show(low)} … ${show(high)})`
