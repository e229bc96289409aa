// A request's record for tests: everything zero but what is given.

import { perTier, type RequestRecord } from 'attentionstore/protocol'

export function requestRecord(seq: number, given: Partial<RequestRecord> = {}): RequestRecord {
  return {
    seq,
    request_id: `req_${seq}`,
    conversation: `conv_${seq}`,
    tenant: '',
    status: 'ok',
    finish_reason: 'stop',
    error: null,
    queued_for: null,
    accepted_at_ms: 0,
    duration_ms: 0,
    prompt_tokens: 0,
    completion_tokens: 0,
    reused_tokens: perTier(() => 0),
    computed_tokens: 0,
    recomputed_tokens: 0,
    outside_view_tokens: 0,
    miss: { never_seen: 0, reasoning_dropped: 0, prompt_scored: 0, evicted: 0, damaged: 0, outside_view: 0, unknown: 0 },
    evictions: [],
    ttft_ms: null,
    estimated_ttft_ms: null,
    phases: { queued: [], read: [], load: [], prefill: [], decode: [], save: [], write: [] },
    ...given,
  }
}
