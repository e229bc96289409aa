// The items that a request stands on: those of the responses before it, its own, and those it refers to.

import { ApiError } from '../../protocol/errors.js'
import type { KeptResponses, ResponseThread } from '../../service/types.js'
import { validate } from '../validate.js'
import { InputItem, type ContentItem } from './schemas/items.js'
import type { ResponseRequest } from './schemas/request.js'
import type { ResponseBody } from './schemas/response.js'

export interface History {
  readonly thread: ResponseThread | null
  /** Of the last response of the thread. */
  readonly conversation: string | null
  /** Of the whole conversation, oldest first. */
  readonly items: readonly ContentItem[]
  /** The request's own, with the items that it refers to in their place. */
  readonly own: readonly ContentItem[]
}

/** @throws ApiError `previous_response_not_found`, or `not_found` for an item. */
export function historyOf({ input, previous_response_id: previous }: ResponseRequest, tenant: string, responses: KeptResponses): History {
  const thread = previous === null || previous === undefined ? null : responses.thread(tenant, previous)
  if (thread === null && previous) {
    const message = 'previous_response_id: The server has no response of this id. It keeps responses for a time, unless "store" is false.'
    throw new ApiError('previous_response_not_found', message, 'previous_response_id')
  }
  const kept = thread?.responses ?? []
  const before = kept.flatMap((response) => [...(JSON.parse(response.input) as unknown[]), ...(JSON.parse(response.body) as ResponseBody).output])
  const own = ownItems(input, tenant, responses)
  return { thread, conversation: kept.at(-1)?.conversation ?? null, items: [...before.map(contentItem), ...own], own }
}

function ownItems(input: ResponseRequest['input'], tenant: string, responses: KeptResponses): ContentItem[] {
  if (typeof input === 'string') return [{ type: 'message', role: 'user', content: input }]
  return (input ?? []).map((item, index) => {
    if (item.type !== 'item_reference') return item
    const owner = responses.ownerOf(tenant, item.id)
    const found = owner && (JSON.parse(owner.body) as ResponseBody).output.find(({ id }) => id === item.id)
    if (found) return contentItem(found)
    const param = `input.${index}.id`
    throw new ApiError('not_found', `${param}: The server keeps no item of this id. Send the item itself.`, param)
  })
}

/** An item that the server wrote itself, read as one of a client. */
function contentItem(item: unknown): ContentItem {
  const parsed = validate(InputItem, item)
  if (parsed.type === 'item_reference') throw new Error('a kept item is a reference')
  return parsed
}
