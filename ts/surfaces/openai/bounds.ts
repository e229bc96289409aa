// Lists that are too long to be right are refused before a schema walks through them: millions of items in a body that
// is within its bytes would hold up the event loop for seconds.

import { ApiError } from '../../protocol/errors.js'
import { MAX_TRUNCATED } from '../../protocol/limits.js'
import { isObject } from '../json-bounds.js'
import { MAX_CALLS, MAX_CHOICES, MAX_TOOLS } from '../limits.js'
import { MAX_PROMPTS } from './schemas/completions.js'
import { MAX_BAD_WORDS, MAX_LOGIT_BIASES, MAX_STOPS } from './schemas/generation.js'
import { MAX_PARTS } from './schemas/messages.js'

/** Most tokens of one POST /detokenize. */
export const MAX_DETOKENIZED = 131_072

const MOST_ITEMS: Readonly<Record<string, number>> = {
  stop: MAX_STOPS,
  stop_token_ids: MAX_STOPS,
  logit_bias: MAX_LOGIT_BIASES,
  bad_words: MAX_BAD_WORDS,
  tokens: MAX_DETOKENIZED,
  tools: MAX_TOOLS,
  functions: MAX_TOOLS,
  guided_choice: MAX_CHOICES,
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
  const isShortened = field('truncation') === 'auto' || typeof field('truncate_prompt_tokens') === 'number'
  const limit = isShortened && maxModelLen <= MAX_TRUNCATED ? truncated : untruncated(maxModelLen)
  checkContext(field('messages'), 'messages', limit)
  checkMessages(field('messages'))
  checkPrompt(field('prompt'), limit)
}

function items(value: unknown): number {
  if (Array.isArray(value)) return value.length
  return typeof value === 'object' && value !== null ? Object.keys(value).length : 0
}

/** Fewest tokens that are too many, and the sentence that says so. */
interface ContextLimit {
  readonly tooMany: number
  readonly text: string
}

function untruncated(maxModelLen: number): ContextLimit {
  return { tooMany: maxModelLen, text: `the context limit is ${maxModelLen}, and an answer needs at least one token of it` }
}

const truncated: ContextLimit = { tooMany: MAX_TRUNCATED + 1, text: `the limit with truncation is ${MAX_TRUNCATED}` }

function checkPrompt(prompt: unknown, limit: ContextLimit): void {
  if (!Array.isArray(prompt)) return
  if (typeof prompt[0] === 'number') return checkContext(prompt, 'prompt', limit)
  if (prompt.length > MAX_PROMPTS) throw new ApiError('invalid_value', `prompt: the list has ${prompt.length} prompts; the limit is ${MAX_PROMPTS}.`, 'prompt')
  for (const part of prompt) checkContext(part, 'prompt', limit)
}

/** Lists inside messages: content parts and calls of all of them together, and the calls of each. */
function checkMessages(messages: unknown): void {
  if (!Array.isArray(messages)) return
  let parts = 0
  for (const [index, message] of (messages as readonly unknown[]).entries()) {
    if (!isObject(message)) continue
    const calls = items(message['tool_calls'])
    const param = `messages.${index}.tool_calls`
    if (calls > MAX_CALLS) throw new ApiError('invalid_value', `${param}: at most ${MAX_CALLS} items`, param)
    parts += calls + (Array.isArray(message['content']) ? message['content'].length : 0)
    if (parts > MAX_PARTS) {
      throw new ApiError('invalid_value', `messages: All messages together have at most ${MAX_PARTS} content parts and calls.`, 'messages')
    }
  }
}

/** Each token is one, and each message takes at least one. */
function checkContext(list: unknown, param: string, { tooMany, text }: ContextLimit): void {
  if (!Array.isArray(list) || list.length < tooMany) return
  const what = param === 'prompt' ? 'tokens' : 'messages'
  const message = `${param}: the list has ${list.length} ${what}; ${text}.`
  throw new ApiError('context_length_exceeded', message, param, { prompt: list.length, max_model_len: tooMany })
}
