// Lists that are too long to be right are refused before a schema walks through them: millions of items in a body that is
// within its bytes would hold up the event loop for seconds.

import { ApiError } from '../protocol/errors.js'
import { MAX_TRUNCATED } from '../protocol/limits.js'

/** Most parts of a message, and of all messages together. */
export const MAX_PARTS = 131_072

/** A field of a body that was not validated yet. */
export function rawField(body: unknown, name: string): unknown {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return undefined
  return (body as Record<string, unknown>)[name]
}

export interface MessageBounds {
  /** Of the body: a list of messages. */
  readonly field: string
  /** Of each message: a list of parts, or a text. */
  readonly parts: string
  readonly maxModelLen: number
  /** The prompt may be longer than the context. */
  readonly isTruncated: boolean
}

/**
 * Each message takes a token at least, so a context bounds their number.
 * @throws ApiError `context_length_exceeded` or `invalid_value` naming the field.
 */
export function checkMessageLists(body: unknown, { field, parts, maxModelLen, isTruncated }: MessageBounds): void {
  const list = rawField(body, field)
  if (!Array.isArray(list)) return
  const tooMany = isTruncated ? Math.max(maxModelLen, MAX_TRUNCATED + 1) : maxModelLen
  if (list.length >= tooMany) {
    const message = `${field}: the list has ${list.length} items; the context limit is ${tooMany}, and an answer needs at least one token of it.`
    throw new ApiError('context_length_exceeded', message, field, { prompt: list.length, max_model_len: tooMany })
  }
  let count = 0
  for (const message of list) count += lengthOf(rawField(message, parts))
  if (count > MAX_PARTS) throw new ApiError('invalid_value', `${field}: the items have ${count} parts of ${parts}; the limit is ${MAX_PARTS}.`, field)
}

/** @throws ApiError `invalid_value` naming the field. */
export function checkListLength(body: unknown, field: string, most: number): void {
  const { length } = { length: lengthOf(rawField(body, field)) }
  if (length > most) throw new ApiError('invalid_value', `${field}: the list has ${length} items; the limit is ${most}.`, field)
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0
}
