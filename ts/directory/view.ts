// Which tokens attention sees, and how much of a prompt need not be computed. Pure functions.

import { BLOCK_TOKENS } from '../engine/types.js'

/** Half-open ranges of token indices, ascending, disjoint. */
export type TokenRanges = ReadonlyArray<readonly [from: number, to: number]>

/** What the token at index i sees, itself included. */
export type View = (token: number) => TokenRanges

/** No truncation: a token sees everything before it. */
export const wholeView: View = token => [[0, token + 1]]

/**
 * The largest r < n for which every token of view(r) before r is present. `present[b]` is the number of leading tokens
 * of block b that lie in some tier (a match may end inside a block). At least one token is always left to compute,
 * because the first answer token is sampled from it.
 */
export function reuseLength(n: number, present: readonly number[], view: View): number {
  const missing = missingBefore(n, present)
  for (let r = n - 1; r > 0; r--) {
    const complete = view(r).every(([from, to]) => missingUpTo(Math.min(to, r), missing, present) === missingUpTo(from, missing, present))
    if (complete) return r
  }
  return 0
}

/** Missing tokens before each block, so that a range is judged in constant time. */
function missingBefore(n: number, present: readonly number[]): Uint32Array {
  const blocks = Math.ceil(n / BLOCK_TOKENS)
  const missing = new Uint32Array(blocks + 1)
  for (let b = 0; b < blocks; b++) missing[b + 1] = (missing[b] ?? 0) + BLOCK_TOKENS - (present[b] ?? 0)
  return missing
}

function missingUpTo(token: number, missing: Uint32Array, present: readonly number[]): number {
  const block = Math.floor(token / BLOCK_TOKENS)
  const offset = token % BLOCK_TOKENS
  return (missing[block] ?? 0) + Math.max(0, offset - (present[block] ?? 0))
}
