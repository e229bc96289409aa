// Responses as they are kept, and read again.

import { randomUUID } from 'node:crypto'
import { ApiError } from '../../protocol/errors.js'
import type { KeptResponse } from '../../service/types.js'
import type { ContentItem } from './schemas/items.js'
import type { ResponseBody } from './schemas/response.js'

export interface Owner {
  readonly tenant: string
  readonly conversation: string
}

export function keptResponse(response: ResponseBody, input: readonly ContentItem[], { tenant, conversation }: Owner): KeptResponse {
  return {
    tenant,
    conversation,
    id: response.id,
    input: JSON.stringify(input.map(keptItem)),
    body: JSON.stringify(response),
    items: response.output.map(({ id }) => id),
  }
}

/** With what a list of items shows of each: a type, an id, and parts in place of a text. */
function keptItem(item: ContentItem): unknown {
  const type = item.type ?? 'message'
  const named = { ...item, type, id: item.id ?? `${type === 'message' ? 'msg' : 'item'}_${randomUUID().replaceAll('-', '')}`, status: item.status ?? 'completed' }
  if (!('role' in item) || typeof item.content !== 'string') return named
  const part = item.role === 'assistant' ? { type: 'output_text', text: item.content, annotations: [] } : { type: 'input_text', text: item.content }
  return { ...named, content: [part] }
}

/** @throws ApiError `not_found`. */
export function foundOrThrow<T>(found: T | null): T {
  if (found !== null) return found
  throw new ApiError('not_found', 'The server has no response of this id. It keeps responses for a time, unless "store" is false.', 'id')
}
