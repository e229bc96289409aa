// The beginning of a trace, as a trace of its own.

import { BlockIds } from './ids.js'
import type { Beginning, Trace } from './trace.js'

/** The first `limit` requests; block ids are dense again. */
export function shortened(trace: Trace, limit: number): Trace {
  if (trace.requests.length <= limit) return trace
  const ids = new BlockIds()
  const idOf = ids.scope()
  const requests = trace.requests.slice(0, limit).map((request) => ({ ...request, blocks: request.blocks.map(idOf) }))
  const uniqueBlocks = ids.count
  const beginnings = new Map<number, Beginning>()
  for (const [block, { block: like, tokens }] of trace.beginnings) {
    const [id, likeId] = [idOf(block), idOf(like)]
    // An id that is new here is no block of these requests.
    if (id < uniqueBlocks && likeId < uniqueBlocks) beginnings.set(id, { block: likeId, tokens })
  }
  return { ...trace, uniqueBlocks, beginnings, requests }
}
