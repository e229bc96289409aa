// Errors of a prompt's encoding, as its client is told them: each names the field that is at fault.

import { PromptTooLong } from '../engine/too-long.js'
import { causeOf } from '../protocol/engine-codes.js'
import { ApiError, EngineError } from '../protocol/errors.js'
import { MAX_TRUNCATED } from '../protocol/limits.js'
import type { TurnRequest } from './types.js'

/** The field that has the prompt. */
export function promptField({ prompt, messagesField = 'messages' }: TurnRequest): string {
  return prompt.kind === 'chat' ? messagesField : 'prompt'
}

/** Most tokens that a prompt may have before it is shortened. */
export function mostTokens(request: TurnRequest, maxContext: number): number {
  return isShortened(request) ? Math.max(maxContext - 1, MAX_TRUNCATED) : maxContext - 1
}

function isShortened({ truncation, lastTokens }: TurnRequest): boolean {
  return truncation === 'auto' || lastTokens !== undefined
}

/** @param counted How many tokens the prompt has, in words; `length` of them are known. */
export function tooLong(request: TurnRequest, maxContext: number, counted: string, length: number): ApiError {
  const most = mostTokens(request, maxContext)
  const isPastBoth = isShortened(request) && length > most
  const limit = isPastBoth ? most : maxContext
  const way = request.truncation === 'auto' ? 'truncation "auto"' : 'truncate_prompt_tokens'
  const advice = isPastBoth ? `the limit with ${way} is ${limit}.` : `the context limit, prompt and answer, is ${limit}. Set truncation to "auto" to continue.`
  const counts = { prompt_tokens: length, max_model_len: limit }
  return new ApiError('context_length_exceeded', `The prompt has ${counted} tokens; ${advice}`, promptField(request), counts)
}

/** What `encoding` threw. A prompt that is too long was refused before all of it was tokenised. */
export function refusalOf(request: TurnRequest, maxContext: number, thrown: unknown): unknown {
  if (thrown instanceof PromptTooLong) return tooLong(request, maxContext, `at least ${thrown.atLeast}`, thrown.atLeast)
  return templateRefusal(request, thrown)
}

/** The same of what a template says against messages: a template that came with the request is named itself. */
export function templateRefusal({ chatTemplate, messagesField = 'messages' }: Pick<TurnRequest, 'chatTemplate' | 'messagesField'>, thrown: unknown): unknown {
  if (!(thrown instanceof EngineError)) return thrown
  const cause = causeOf(thrown.code)
  if (typeof cause !== 'object' || cause.field !== 'messages') return thrown
  const field = chatTemplate !== undefined && thrown.code.startsWith('template') ? 'chat_template' : messagesField
  return new ApiError('invalid_value', `${field}: ${thrown.message}`, field, {}, { cause: thrown })
}
