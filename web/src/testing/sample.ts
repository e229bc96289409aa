// A sample for tests: everything zero but what is given.

import { perStream, perTier, type Sample, type TransferSample } from 'attentionstore/protocol'

const transfer: TransferSample = { bytes: 0, ms: 0, queueDepth: 0, limit: null }

export function emptySample(uptimeMs: number, given: Partial<Sample> = {}): Sample {
  return {
    uptimeMs,
    tiers: [],
    requests: { ok: 0, cancelled: 0, failed: 0, rejected: 0, queued: 0, preparing: 0, running: 0 },
    tokens: {
      prompt: 0,
      completion: 0,
      computed: 0,
      recomputed: 0,
      reused: perTier(() => 0),
      miss: { neverSeen: 0, reasoningDropped: 0, promptScored: 0, evicted: 0, damaged: 0, outsideView: 0, unknown: 0 },
    },
    saved: { tokens: 0, ms: 0 },
    today: { sinceMs: 0, promptTokens: 0, reusedTokens: 0, savedMs: 0 },
    prefillTokensPerS: null,
    blocks: { saved: 0, loaded: 0, promoted: 0, demoted: 0, dropped: {}, abandoned: { save: 0, write: 0 } },
    prefetches: { fetched: 0, buffered: 0, used: 0, wasted: 0 },
    followed: { requests: 0, tokens: 0 },
    history: { load: 0, recompute: 0, split: 0 },
    constraints: { sources: { compiled: 0, cached: 0, refused: 0 }, masks: 0, maskMs: 0, lateRows: 0 },
    preemptions: 0,
    sharedKeyRequests: 0,
    steps: { count: 0, computeMs: 0, loadStallMs: 0, stalledLayers: 0, scheduleMs: { p50: 0, p99: 0 } },
    ttftMs: null,
    ttft: null,
    transfers: perStream(() => transfer),
    damagedReads: 0,
    dramChecked: 0,
    dramDamaged: 0,
    disks: [],
    failedTransfers: [],
    eventLoopDelayMs: { p50: 0, p99: 0 },
    residentBytes: 0,
    ...given,
  }
}
