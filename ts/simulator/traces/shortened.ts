// The beginning of a trace, as a trace of its own.

import type { Beginning, Trace } from './trace.js'

/** The first `limit` requests; block ids are dense again. */
export function shortened(trace: Trace, limit: number): Trace {
  if (trace.requests.length <= limit) return trace
  const dense = new Map<number, number>()
  const idOf = (block: number): number => {
    const known = dense.get(block)
    if (known !== undefined) return known
    dense.set(block, dense.size)
    return dense.size - 1
  }
  const requests = trace.requests.slice(0, limit).map((request) => ({ ...request, blocks: request.blocks.map(idOf) }))
  const beginnings = new Map<number, Beginning>()
  for (const [block, { block: like, tokens }] of trace.beginnings) {
    const [id, likeId] = [dense.get(block), dense.get(like)]
    if (id !== undefined && likeId !== undefined) beginnings.set(id, { block: likeId, tokens })
  }
  return { ...trace, uniqueBlocks: dense.size, beginnings, requests }
}
