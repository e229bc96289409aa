// Tokens that an answer of the simulated engine must not go on with, by the same rules as the native one's.

import type { SequenceSpec } from '../types.js'
import { TURN_END } from './vocabulary.js'

const NONE: ReadonlySet<number> = new Set()

/**
 * Ends and stop tokens while the answer is short, and the last token of each bad word whose others precede it. The end that
 * is ignored for the whole answer is not among them.
 * @param answered Gives the tokens of the answer so far.
 */
export function bannedNow({ minTokens = 0, badWords = [], stopTokens }: SequenceSpec, answered: () => readonly number[]): ReadonlySet<number> {
  if (minTokens === 0 && badWords.length === 0) return NONE
  const answer = answered()
  const banned = new Set(answer.length < minTokens ? [TURN_END, ...stopTokens] : [])
  for (const word of badWords) {
    const last = word.at(-1)
    const before = word.length - 1
    if (last !== undefined && before <= answer.length && word.slice(0, -1).every((token, i) => answer[answer.length - before + i] === token)) banned.add(last)
  }
  return banned
}
