// The bound of log probabilities of a prompt: they are kept until its answer begins.

import { ApiError } from '../protocol/errors.js'
import type { TurnRequest } from './types.js'

/** Most log probabilities of a prompt: its tokens times one more than the alternatives of each. */
export const MAX_PROMPT_LOGPROBS = 262_144

/**
 * Alternatives a token, for a prompt of `tokens` tokens.
 * @throws ApiError `invalid_value` where they are too many.
 */
export function scoredTop({ top, field }: NonNullable<TurnRequest['promptLogprobs']>, tokens: number): number {
  const count = tokens * (top + 1)
  if (count <= MAX_PROMPT_LOGPROBS) return top
  const message = `${field}: ${tokens} tokens with ${top} alternatives each are ${count} log probabilities; the limit is ${MAX_PROMPT_LOGPROBS}.`
  throw new ApiError('invalid_value', message, field, { log_probabilities: count, limit: MAX_PROMPT_LOGPROBS })
}
