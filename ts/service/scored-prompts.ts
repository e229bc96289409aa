// The bound of log probabilities of a prompt.

import { ApiError } from '../protocol/errors.js'
import { MAX_PROMPT_LOGPROBS } from '../protocol/limits.js'
import type { PromptQuestion } from './types.js'

/**
 * Alternatives a token, for prompts of `tokens` tokens together.
 * @throws ApiError `invalid_value` where they are too many.
 */
export function scoredTop({ top, field }: PromptQuestion, tokens: number): number {
  const count = tokens * (top + 1)
  if (count <= MAX_PROMPT_LOGPROBS) return top
  const message = `${field}: ${tokens} tokens of prompts with ${top} alternatives each are ${count} log probabilities; the limit is ${MAX_PROMPT_LOGPROBS}.`
  throw new ApiError('invalid_value', message, field, { log_probabilities: count, limit: MAX_PROMPT_LOGPROBS })
}
