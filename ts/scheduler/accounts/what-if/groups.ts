// Groups of blocks by hash: each gives an estimate of the whole, and how much these differ says how good a sample is.

import { keyWord } from '../../../directory/key-filter.js'
import type { BlockKey } from '../../../engine/types.js'

export const GROUPS = 8
/** Two-sided 95 % of Student's t with GROUPS − 1 degrees of freedom. */
const T_95 = 2.365
/** Another word of the key than the one that chooses the sample. */
const GROUP_WORD = 6

export interface Estimate {
  /** 0 … 1. */
  readonly hitRate: number
  /** Half width of the 95 % interval of the sampling. */
  readonly error: number
}

/** Of all requests: prompt tokens, and those of them in blocks that were here before. */
export interface TokenTotals {
  readonly prompt: number
  readonly asked: number
}

export function groupOf(key: BlockKey): number {
  return keyWord(key, GROUP_WORD) % GROUPS
}

export const perGroup = (of: (group: number) => number): number[] => Array.from({ length: GROUPS }, (_, group) => of(group))

/**
 * Each group's estimate of the hit rate. `hits` and `followed`: tokens of its sampled blocks, scaled up, that a cache had, and
 * that were asked for. The difference between a group's part and its share is put down to blocks that are asked for all the
 * time (a system prompt is in the sample or is not), which every cache has (SHARDS-adj).
 */
export function ratesOf(totals: TokenTotals, hits: (group: number) => number, followed: ArrayLike<number>): number[] {
  if (totals.prompt === 0) return perGroup(() => 0)
  const share = totals.asked / GROUPS
  return perGroup(group => ((hits(group) + share - (followed[group] ?? 0)) * GROUPS) / totals.prompt)
}

export function estimateOf(rates: readonly number[]): Estimate {
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / (rates.length - 1)
  return { hitRate: Math.min(1, Math.max(0, mean)), error: T_95 * Math.sqrt(variance / rates.length) }
}
