// GET /admin/requests, and the records of the `requests` topic: one request each, with its times and reasons. No text.

import { z } from 'zod'
import { wayOf } from '../lanes.js'
import { perTier, TIER_NAMES } from '../tiers.js'
import { MissReasons } from './miss.js'

/** Most records of a page: all that are remembered. */
export const MAX_REQUEST_RECORDS = 1000

const count = z.int().nonnegative()
const milliseconds = z.number().nonnegative()

/** Intervals of one phase that a record keeps at most; beyond it the ones that lie closest together are merged. */
export const MOST_SPANS = 16

/** Milliseconds since the request was accepted. */
export const Span = z.tuple([milliseconds, milliseconds]).meta({ description: 'from and to, milliseconds since acceptance' })

const spans = z.array(Span).max(MOST_SPANS)

/** A phase's intervals in ascending order, disjoint. Those of different phases overlap: that is the point. */
export const Phases = z
  .object({
    queued: spans.meta({ description: 'accepted, and not in the batch' }),
    read: spans.meta({ description: wayOf('read') }),
    load: spans.meta({ description: wayOf('load') }),
    prefill: spans.meta({ description: 'steps that computed the prompt' }),
    decode: spans.meta({ description: 'steps that computed the answer' }),
    save: spans.meta({ description: wayOf('save') }),
    write: spans.meta({ description: wayOf('write') }),
  })
  .meta({ id: 'Phases' })

export const Eviction = z
  .object({
    tokens: count,
    at_ms: z.number().meta({ description: 'when the block left, milliseconds since the Unix epoch' }),
    cause: z.enum(['evicted', 'write_queue_full', 'damaged', 'reset', 'ttl', 'foreign']),
    tier: z.enum(TIER_NAMES).meta({ description: 'the tier it was in last' }),
    policy: z.string().nullable().meta({ description: 'the policy that chose it; null: no policy did' }),
  })
  .meta({ id: 'Eviction' })

/** Decisions that a record names at most; those of one cause, tier and policy are told as one, with the latest time. */
export const MOST_EVICTIONS = 4

/** Reasons for which a request may wait in the queue. */
export const QUEUED_FOR = ['turn', 'room', 'history', 'another'] as const

export const RequestRecord = z
  .object({
    seq: count.meta({ description: 'grows from record to record; a record that comes again replaces the one before' }),
    request_id: z.string().meta({ description: 'empty: the conversation was erased' }),
    conversation: z.string().meta({ description: 'empty: it was erased' }),
    tenant: z.string(),
    status: z.enum(['ok', 'cancelled', 'failed']),
    finish_reason: z.enum(['stop', 'length']).nullable(),
    error: z.string().nullable().meta({ description: 'the code of a failed one' }),
    accepted_at_ms: z.number().meta({ description: 'milliseconds since the Unix epoch' }),
    queued_for: z
      .enum(QUEUED_FOR)
      .nullable()
      .meta({ description: 'what it waited for longest in the queue: a place in the batch, blocks of hbm, its own history, or another request that computes the same beginning; null: it did not wait' }),
    duration_ms: milliseconds.meta({ description: 'from acceptance to the end of the answer' }),
    prompt_tokens: count,
    completion_tokens: count,
    reused_tokens: z.object(perTier(() => count)),
    computed_tokens: count,
    recomputed_tokens: count,
    outside_view_tokens: count,
    miss: MissReasons,
    evictions: z.array(Eviction).max(MOST_EVICTIONS).meta({ description: 'the end of the blocks in `evicted` and `damaged`' }),
    ttft_ms: milliseconds.nullable().meta({ description: 'null: it ended before its first token' }),
    estimated_ttft_ms: milliseconds
      .nullable()
      .meta({ description: 'estimated: what ttft_ms would have been without reuse; null: no prefill was measured yet' }),
    phases: Phases,
  })
  .meta({ id: 'RequestRecord' })

export const RequestQuery = z.object({
  cursor: z.coerce.number().int().nonnegative().optional().meta({ description: 'next_cursor of the page before' }),
  limit: z.coerce.number().int().min(1).max(MAX_REQUEST_RECORDS).default(100),
})

export const RequestList = z
  .object({
    requests: z.array(RequestRecord).meta({ description: 'newest first' }),
    next_cursor: count.nullable().meta({ description: 'null: there are no older ones' }),
  })
  .meta({ id: 'RequestList' })
