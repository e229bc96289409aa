// Lists that are too long to be right are refused before a schema walks through them: millions of items in a body that
// is within its bytes would hold up the event loop for seconds.

import { ApiError } from '../../protocol/errors.js'
import { MAX_TRUNCATED } from '../../protocol/limits.js'
import { MAX_PROMPTS } from './schemas/completions.js'
import { MAX_LOGIT_BIASES, MAX_STOPS } from './schemas/generation.js'

/** Most tokens of one POST /detokenize. */
export const MAX_DETOKENIZED = 131_072

const MOST_ITEMS: Readonly<Record<string, number>> = {
  stop: MAX_STOPS,
  stop_token_ids: MAX_STOPS,
  logit_bias: MAX_LOGIT_BIASES,
  tokens: MAX_DETOKENIZED,
}

/**
 * @param maxModelLen a prompt of that many tokens or messages cannot be answered, unless it asks for truncation.
 * @throws ApiError `invalid_value` or `context_length_exceeded` naming the field.
 */
export function checkLengths(body: unknown, maxModelLen: number): void {
  if (typeof body !== 'object' || body === null) return
  const field = (name: string): unknown => (Object.hasOwn(body, name) ? (body as Record<string, unknown>)[name] : undefined)
  for (const [name, most] of Object.entries(MOST_ITEMS)) {
    if (items(field(name)) > most) throw new ApiError('invalid_value', `${name}: at most ${most} items`, name)
  }
  const limit = field('truncation') === 'auto' ? Math.max(maxModelLen, MAX_TRUNCATED + 1) : maxModelLen
  checkContext(field('messages'), 'messages', limit)
  checkPrompt(field('prompt'), limit)
}

function items(value: unknown): number {
  if (Array.isArray(value)) return value.length
  return typeof value === 'object' && value !== null ? Object.keys(value).length : 0
}

function checkPrompt(prompt: unknown, limit: number): void {
  if (!Array.isArray(prompt)) return
  if (typeof prompt[0] === 'number') return checkContext(prompt, 'prompt', limit)
  if (prompt.length > MAX_PROMPTS) throw new ApiError('invalid_value', `prompt: the list has ${prompt.length} prompts; the limit is ${MAX_PROMPTS}.`, 'prompt')
  for (const part of prompt) checkContext(part, 'prompt', limit)
}

/** Each token is one, and each message takes at least one; `limit` of them are too many. */
function checkContext(list: unknown, param: string, limit: number): void {
  if (!Array.isArray(list) || list.length < limit) return
  const what = param === 'prompt' ? 'tokens' : 'messages'
  const message = `${param}: the list has ${list.length} ${what}; the limit is ${limit - 1}.`
  throw new ApiError('context_length_exceeded', message, param, { prompt: list.length, max_model_len: limit })
}
