// How much of a prompt need not be computed, given what its tokens see. Pure functions.

import { BLOCK_TOKENS, type ViewParameters } from '../engine/types.js'
import { leftOut } from '../engine/view.js'

/** Half-open ranges of token indices, ascending, disjoint. */
export type TokenRanges = ReadonlyArray<readonly [from: number, to: number]>

/**
 * What the token at index i sees, itself included. What a later token does not see of the tokens before i, no token
 * after it sees either.
 */
export type View = (token: number) => TokenRanges

/** No truncation: a token sees everything before it. */
export const wholeView: View = token => [[0, token + 1]]

export function viewOf(parameters: ViewParameters | null): View {
  if (parameters === null) return wholeView
  const { head, window } = parameters
  return token => (token < window ? wholeView(token) : [[0, head], [head + leftOut(parameters, token), token + 1]])
}

/**
 * The largest r < n for which every token of view(r) before r is present. `present[b]` is the number of leading tokens
 * of block b that lie in some tier (a match may end inside a block). At least one token is always left to compute,
 * because the first answer token is sampled from it.
 */
export function reuseLength(n: number, present: readonly number[], view: View): number {
  let length = n - 1
  // Whoever comes after a missing token and before `length` sees it too: only the missing token itself may be next.
  for (let gap = lastGap(length, present, view); gap >= 0; gap = lastGap(length, present, view)) length = gap
  return length
}

/** Start of the last stretch of missing tokens that the token at `length` sees before itself; -1: there is none. */
function lastGap(length: number, present: readonly number[], view: View): number {
  for (const [from, to] of view(length).toReversed()) {
    const end = Math.min(to, length)
    for (let block = Math.ceil(end / BLOCK_TOKENS) - 1; block >= 0 && (block + 1) * BLOCK_TOKENS > from; block--) {
      const start = Math.max(from, block * BLOCK_TOKENS + (present[block] ?? 0))
      if (start < Math.min(end, (block + 1) * BLOCK_TOKENS)) return start
    }
  }
  return -1
}
