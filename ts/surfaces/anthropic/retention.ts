// Cache markers: a wish how long the prompt is kept. Where they stand means nothing here, for every block is kept.

import type { TurnRequest } from '../../service/types.js'
import type { CountTokensRequest } from './schemas/messages.js'

type Marker = { readonly ttl?: '5m' | '1h' | null | undefined }
type Marked = { readonly cache_control?: Marker | null | undefined }

export interface CacheWish {
  /** Some marker was there. */
  readonly isMarked: boolean
  /** An hour is the longest that a marker can ask for; the server knows a day. */
  readonly retention: NonNullable<TurnRequest['retention']>
}

export function cacheWish(fields: CountTokensRequest): CacheWish {
  const markers = [...marked(fields)].flatMap(({ cache_control: marker }) => (marker ? [marker] : []))
  return { isMarked: markers.length > 0, retention: markers.some(({ ttl }) => ttl === '1h') ? 'day' : 'none' }
}

function* marked(fields: CountTokensRequest): Iterable<Marked> {
  yield fields
  yield* fields.tools ?? []
  if (typeof fields.system !== 'string') yield* fields.system ?? []
  for (const { content } of fields.messages) {
    if (typeof content === 'string') continue
    for (const block of content) {
      if ('cache_control' in block) yield block
      if (block.type === 'tool_result' && typeof block.content !== 'string') yield* block.content ?? []
    }
  }
}
