// The next token as a function of the state of the KV, the seed and the token index. Nothing else.

import type { SamplingParams, TokenLogprob } from '../types.js'
import { mix } from './content.js'
import { TURN_END, VOCABULARY_SIZE } from './vocabulary.js'

/** One in this many tokens ends the answer. */
const END_ODDS = 48

const letters = [...new TextEncoder().encode('etaoinshrdlucmf  .\n')]
/** Letters, pairs, and now and then a byte that is no character by itself. */
const alphabet = [...letters, ...letters, ...letters, ...letters, ...letters, ...letters, ...Array.from({ length: VOCABULARY_SIZE - 260 }, (_, i) => 260 + i), 0xc3, 0xa9]

/** @param allowed The tokens to choose from; null: any. */
export function sampleToken(state: number, sampling: SamplingParams, index: number, ignoreEos: boolean, allowed: readonly number[] | null = null): number {
  const chance = sampling.temperature === 0 ? mix(state, 1) : mix(mix(mix(state, Number(sampling.seed & 0xffffffffn)), Number(sampling.seed >> 32n)), index)
  if (allowed) return allowed[mix(chance, 2) % allowed.length] as number
  if (!ignoreEos && chance % END_ODDS === 0) return TURN_END
  return alphabet[mix(chance, 2) % alphabet.length] as number
}

/** Log probabilities that look like some: the sampled token first, then its neighbours in the alphabet. */
export function logprobOf(token: number, top: number): TokenLogprob {
  const at = alphabet.indexOf(token)
  const likeliest = Array.from({ length: top }, (_, i) => [alphabet[(at + i + alphabet.length) % alphabet.length] as number, -0.5 - i] as const)
  return { token, logprob: -0.5, top: likeliest }
}
