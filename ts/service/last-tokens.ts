// Prompts of which only the end is taken.

import type { EncodedPrompt, TokenRange } from '../engine/types.js'
import { ApiError } from '../protocol/errors.js'
import type { TurnRequest } from './types.js'

/**
 * How many tokens of the prompt are taken at most; null: all.
 * @throws ApiError `invalid_value` where they are more than the context.
 */
export function lastTokensOf({ lastTokens, maxTokens }: TurnRequest, maxContext: number): number | null {
  if (lastTokens === undefined) return null
  if (lastTokens === 'context') return Math.max(1, maxContext - Math.max(1, maxTokens ?? 1))
  if (lastTokens <= maxContext) return lastTokens
  const param = 'truncate_prompt_tokens'
  throw new ApiError('invalid_value', `${param}: ${lastTokens} tokens are more than the context, which is ${maxContext}.`, param, { max_model_len: maxContext })
}

/** The last `most` tokens of a prompt. One that lost its beginning has no system prompt any more. */
export function lastTokens(prompt: EncodedPrompt, most: number | null): EncodedPrompt {
  const leftOut = prompt.tokens.length - (most ?? Infinity)
  if (leftOut <= 0) return prompt
  const { prefill, ...rest } = prompt
  const tokens = prompt.tokens.slice(leftOut)
  const withoutReasoning = prompt.withoutReasoning.flatMap(([from, to]): TokenRange[] =>
    to <= leftOut ? [] : [[Math.max(0, from - leftOut), to - leftOut]],
  )
  // Where the message that the answer goes on with lost its beginning too, what is left of it is read all the same.
  const begun = prefill ? { prefill: { ...prefill, tokens: Math.min(prefill.tokens, tokens.length) } } : {}
  return { ...rest, tokens, systemTokens: 0, withoutReasoning, ...begun }
}
