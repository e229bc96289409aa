// The next token as a function of the state of the KV, the seed and the token index. Nothing else.

import type { SamplingParams, ScoredToken, SequenceSpec, TokenLogprob } from '../types.js'
import { mix } from './content.js'
import { TURN_END, VOCABULARY_SIZE } from './vocabulary.js'

/** One in this many tokens ends the answer. */
const END_ODDS = 48

const letters = [...new TextEncoder().encode('etaoinshrdlucmf  .\n')]
/** Letters, pairs, and now and then a byte that is no character by itself. */
const alphabet = [...letters, ...letters, ...letters, ...letters, ...letters, ...letters, ...Array.from({ length: VOCABULARY_SIZE - 260 }, (_, i) => 260 + i), 0xc3, 0xa9]

export interface Choice {
  /** No end comes. */
  readonly ignoreEos: boolean
  readonly banned: ReadonlySet<number>
  /** The tokens to choose from; null: any that are not banned. */
  readonly allowed: readonly number[] | null
}

/** null: no token is left. */
export function sampleToken(state: number, sampling: SamplingParams, index: number, { ignoreEos, banned, allowed }: Choice): number | null {
  const chance = sampling.temperature === 0 ? mix(state, 1) : mix(mix(mix(state, Number(sampling.seed & 0xffffffffn)), Number(sampling.seed >> 32n)), index)
  if (!allowed && !ignoreEos && chance % END_ODDS === 0 && !banned.has(TURN_END)) return TURN_END
  const among = banned.size === 0 ? (allowed ?? alphabet) : (allowed ?? alphabet).filter(token => !banned.has(token))
  return among[mix(chance, 2) % among.length] ?? null
}

/** Log probabilities that look like some: the sampled token first, then its neighbours in the alphabet. */
export function logprobOf(token: number, top: number): TokenLogprob {
  const at = alphabet.indexOf(token)
  const likeliest = Array.from({ length: top }, (_, i) => [alphabet[(at + i + alphabet.length) % alphabet.length] as number, -0.5 - i] as const)
  return { token, logprob: -0.5, top: likeliest }
}

/** Of the prompt tokens behind rows [from, to), where their request asks about them: each is the likeliest one. */
export function scoresOf({ tokens, promptLogprobs }: SequenceSpec, from: number, to: number): ScoredToken[] {
  if (promptLogprobs === undefined) return []
  return Array.from(tokens.subarray(from + 1, to + 1), token => {
    const { logprob, top } = logprobOf(token, promptLogprobs)
    return { logprob, rank: 1, top }
  })
}
