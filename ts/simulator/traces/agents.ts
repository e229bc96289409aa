// Sessions of coding agents, one JSON file each: ids of 64-token blocks, local to the session, times in seconds since its
// start. Sessions start as a Poisson process of one in two minutes, drawn from a seed. Those of subagents lie inside.

import { z } from 'zod'
import { BLOCK_TOKENS } from '../../engine/types.js'
import { exponential } from '../random.js'
import { promptOnly, type TraceFormat } from './format.js'
import type { TraceRequest } from './trace.js'

const MEAN_START_GAP_MS = 120_000

const count = z.int().nonnegative()
const request = z.object({ t: z.number().nonnegative(), in: count, out: count, hash_ids: z.array(count) })
const subagent = z.object({ type: z.literal('subagent'), t: z.number().nonnegative(), requests: z.array(request) })
const session = z.object({
  block_size: z.literal(BLOCK_TOKENS),
  hash_id_scope: z.literal('local'),
  requests: z.array(z.union([subagent, request])),
})

type Entry = z.infer<typeof request> | z.infer<typeof subagent>

function requestsOf(entry: Entry, startMs: number, id: (id: number) => number): TraceRequest[] {
  const atMs = startMs + entry.t * 1000
  if ('requests' in entry) return entry.requests.flatMap((inner) => requestsOf(inner, atMs, id))
  return [promptOnly(atMs, entry.in, entry.out, Int32Array.from(entry.hash_ids, id), BLOCK_TOKENS)]
}

export const agents: TraceFormat = {
  name: 'agent sessions',
  blockTokens: BLOCK_TOKENS,
  open({ ids, random }) {
    let start = 0
    return (value) => {
      const parsed = session.safeParse(value)
      if (!parsed.success) return null
      start += exponential(random, MEAN_START_GAP_MS)
      const id = ids.scope()
      return parsed.data.requests.flatMap((entry) => requestsOf(entry, start, id))
    }
  },
}
