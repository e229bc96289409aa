// Counters since start.

import type { LossCause } from '../../directory/ghosts.js'
import type { DownLane } from '../../protocol/lanes.js'
import { perTier } from '../../protocol/tiers.js'
import type { HistoryChoice } from '../costs/load-or-recompute.js'

/** `foreign`: of another model or layout, found on disk at the start. */
export type DropCause = LossCause | 'foreign' | 'erased'
export type Outcome = 'ok' | 'cancelled' | 'failed' | 'rejected'

/**
 * Blocks of the key-addressed tier. Of those that were asked about: `present`, `absent`, and `late`, which count as absent
 * because no answer came in time. Of those that moved: `fetched` and `put`; `skipped`: not put, because too many waited or
 * they left dram before; `failed`: puts, gets and questions that ended with an error.
 */
export type KeyedCounts = Record<'present' | 'absent' | 'late' | 'fetched' | 'put' | 'skipped' | 'failed', number>

/** Counts by kind and code; both come from closed lists of the engine, so they are few. */
export class FailureCounts {
  readonly #counts = new Map<string, { readonly kind: string; readonly code: string; count: number }>()

  add(kind: string, code: string): void {
    const name = `${kind} ${code}`
    const known = this.#counts.get(name)
    if (known) known.count++
    else this.#counts.set(name, { kind, code, count: 1 })
  }

  list(): Array<{ readonly kind: string; readonly code: string; readonly count: number }> {
    return [...this.#counts.values()].map(counted => ({ ...counted }))
  }
}

export class Counters {
  readonly requests: Record<Outcome, number> = { ok: 0, cancelled: 0, failed: 0, rejected: 0 }
  readonly dropped: Record<DropCause, number> = {
    evicted: 0,
    write_queue_full: 0,
    damaged: 0,
    reset: 0,
    ttl: 0,
    erased: 0,
    foreign: 0,
  }
  /** Blocks whose save or write failed again and again, and is not tried any more. */
  readonly abandoned: Record<DownLane, number> = { save: 0, write: 0 }
  readonly reused = perTier(() => 0)
  readonly missed = { neverSeen: 0, reasoningDropped: 0, promptScored: 0, evicted: 0, damaged: 0, outsideView: 0, unknown: 0 }
  readonly failedTransfers = new FailureCounts()
  savedMs = 0
  promptTokens = 0
  completionTokens = 0
  computedTokens = 0
  recomputedTokens = 0
  preemptions = 0
  savedBlocks = 0
  loadedBlocks = 0
  promotedBlocks = 0
  writtenBlocks = 0
  prefetchedBlocks = 0
  bufferedBlocks = 0
  /** Requests whose `prompt_cache_key` stands for many unlike histories, and named no conversation. */
  sharedKeyRequests = 0
  /** Requests that waited for a prompt in flight, and the tokens that they waited for. */
  readonly followed = { requests: 0, tokens: 0 }
  readonly keyed: KeyedCounts = { present: 0, absent: 0, late: 0, fetched: 0, put: 0, skipped: 0, failed: 0 }
  readonly history: Record<HistoryChoice, number> = { load: 0, recompute: 0, split: 0 }
}

/** The last figures of a series, for percentiles. */
export class Samples {
  readonly #values: Float64Array
  #count = 0

  constructor(capacity: number) {
    this.#values = new Float64Array(capacity)
  }

  add(value: number): void {
    this.#values[this.#count++ % this.#values.length] = value
  }

  /** The value below which the fraction `q` of the kept figures lies; 0 without any. */
  quantile(q: number): number {
    const kept = this.#values.slice(0, Math.min(this.#count, this.#values.length)).sort()
    return kept[Math.min(kept.length - 1, Math.floor(q * kept.length))] ?? 0
  }
}
