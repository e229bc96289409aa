// Events of the socket at the default socket.io path. The server sends, the page listens; both are bound to these types.

import type { CacheMap } from './cache-map.js'
import type { z } from 'zod'
import type { RequestRecord as RequestRecordSchema } from './schemas/requests.js'
import type { DiskCondition } from './disk.js'
import type { DownLane, StreamName } from './lanes.js'
import type { TierName } from './tiers.js'
import type { WhatIf } from './what-if.js'

/** What does not change while a server runs. */
export interface ServerInfo {
  readonly version: string
  /** Names under which the model is served; the first is the default. */
  readonly models: readonly string[]
  readonly engine: 'native' | 'simulated'
  /** e.g. `cpu (avx2, 2 threads)` */
  readonly device: string
  /** Longest sequence in tokens, `max_model_len`. */
  readonly maxModelLen: number
  /** Longest sequence the model itself allows. */
  readonly modelContext: number
  readonly layers: number
  readonly blockTokens: number
  /** All layers of one block, in bytes. */
  readonly blockBytes: number
  readonly maxBatchTokens: number
  readonly policy: string
  /** e.g. `io_uring (registered, O_DIRECT)`; `none` without an ssd tier. */
  readonly ioEngine: string
  /** False with `--no-reuse`. */
  readonly reuse: boolean
  /** Milliseconds since the Unix epoch. */
  readonly startedAtMs: number
  /** How times without reuse are estimated, in a sentence for the reader. */
  readonly ttftEstimate: string
}

/**
 * What a client may subscribe to; the server computes nothing that nobody looks at.
 * `overview`: samples, twice a second. `requests`: new records, four times a second. `map`: the tiers' slots and the queue,
 * once a second. `what-if`: the curves, every two seconds.
 */
export type Topic = 'overview' | 'requests' | 'map' | 'what-if'

export interface TierSample {
  readonly name: TierName
  readonly medium: string
  readonly capacityBytes: number
  /** Of these, the bytes that were taken from the system. */
  readonly committedBytes: number
  readonly usedBytes: number
  readonly capacityBlocks: number
  /** total = running + waiting + cached. waiting: a queued request wants it, and no running one holds it. */
  readonly blocks: { readonly total: number; readonly running: number; readonly waiting: number; readonly cached: number }
  /** Prompt tokens served from this tier since start. */
  readonly hitTokens: number
}

/** One direction of transfer since start; `queueDepth` is now. */
export interface TransferSample {
  readonly bytes: number
  readonly ms: number
  readonly queueDepth: number
  /** Bytes a second while transfers run: the fastest that was measured so far, or what `--ssd-…-limit` allows; null: none yet. */
  readonly limit: { readonly bytesPerS: number; readonly basis: 'measured' | 'configured' } | null
}

/** Times to first token of the turns that ended in the last minute (the last 1024 at most), milliseconds. */
export interface TtftSample {
  readonly count: number
  readonly p50: number
  readonly p95: number
  /** Estimated: what the same turns would have taken without reuse. null: no prefill was measured yet. */
  readonly withoutReuse: { readonly p50: number; readonly p95: number } | null
}

/** Counts from start: why prompt tokens were not reused. */
export type MissSample = Readonly<Record<'neverSeen' | 'reasoningDropped' | 'promptScored' | 'evicted' | 'damaged' | 'outsideView' | 'unknown', number>>

/** What reuse saved on the day that it is now. */
export interface TodaySample {
  /** Milliseconds since the Unix epoch: midnight of the server's time zone, or the server's start, if that was later. */
  readonly sinceMs: number
  readonly promptTokens: number
  readonly reusedTokens: number
  /** Estimated. */
  readonly savedMs: number
}

/** Everything that changes. Counters count from the server's start. */
export interface Sample {
  /** Milliseconds since the server's start. */
  readonly uptimeMs: number
  readonly tiers: readonly TierSample[]
  readonly requests: Readonly<Record<'ok' | 'cancelled' | 'failed' | 'rejected' | 'queued' | 'preparing' | 'running', number>>
  readonly tokens: {
    readonly prompt: number
    readonly completion: number
    readonly computed: number
    readonly recomputed: number
    readonly reused: Readonly<Record<TierName, number>>
    readonly miss: MissSample
  }
  /** Computation that reuse saved since start. `ms` is estimated, turn by turn: never less than 0. */
  readonly saved: { readonly tokens: number; readonly ms: number }
  readonly today: TodaySample
  /** Measured tokens a second of steps that compute prompts; null: none yet. */
  readonly prefillTokensPerS: number | null
  readonly blocks: {
    readonly saved: number
    readonly loaded: number
    readonly promoted: number
    readonly demoted: number
    /** By cause: `evicted`, `write_queue_full`, `damaged`, … */
    readonly dropped: Readonly<Record<string, number>>
    /** Blocks whose save or write failed again and again, and is not tried any more. */
    readonly abandoned: Readonly<Record<DownLane, number>>
  }
  /** Blocks: promoted ssd → dram before a request's turn, loaded into the read buffer; of the former, used and lost unused. */
  readonly prefetches: Readonly<Record<'fetched' | 'buffered' | 'used' | 'wasted', number>>
  /** Requests whose history lay on ssd when their turn came, by what was done about it. */
  readonly history: Readonly<Record<'load' | 'recompute' | 'split', number>>
  readonly preemptions: number
  /** Requests whose `prompt_cache_key` stands for many unlike histories and named no conversation. */
  readonly sharedKeyRequests: number
  /** Requests that waited for a prompt that was being computed, and the tokens that they waited for. */
  readonly followed: Readonly<Record<'requests' | 'tokens', number>>
  /** Sources of constraints by what came of them; masks made for constrained answers, and rows that theirs came too late for. */
  readonly constraints: {
    readonly sources: Readonly<Record<'compiled' | 'cached' | 'refused', number>>
    readonly masks: number
    readonly maskMs: number
    readonly lateRows: number
  }
  readonly steps: {
    readonly count: number
    readonly computeMs: number
    readonly loadStallMs: number
    readonly stalledLayers: number
    readonly scheduleMs: { readonly p50: number; readonly p99: number }
  }
  /** Time to first token of the turns that began to answer since the last sample, milliseconds; null: none did. */
  readonly ttftMs: { readonly count: number; readonly p50: number; readonly max: number } | null
  /** Of the last minute; null: no turn ended in it. */
  readonly ttft: TtftSample | null
  /** By lane: `LANES` says from where to where. */
  readonly transfers: Readonly<Record<StreamName, TransferSample>>
  readonly damagedReads: number
  readonly dramChecked: number
  readonly dramDamaged: number
  /** The places that the server writes to. */
  readonly disks: readonly DiskCondition[]
  /** By kind of transfer and code of the error. */
  readonly failedTransfers: ReadonlyArray<{ readonly kind: string; readonly code: string; readonly count: number }>
  /** Event-loop delay since the last sample, milliseconds. */
  readonly eventLoopDelayMs: { readonly p50: number; readonly p99: number }
  readonly residentBytes: number
}

/** What of a sample is remembered, so that a page that has just been opened shows the minutes before. */
export type HistoryPoint = Pick<Sample, 'uptimeMs' | 'tokens' | 'requests' | 'ttft' | 'transfers'>

/** The whole state, sent once at every (re)connect. */
export interface Snapshot {
  readonly info: ServerInfo
  readonly sample: Sample
  /** The last ten minutes, oldest first, a point every four seconds. */
  readonly history: readonly HistoryPoint[]
}

/** Records that are new or have changed since the batch before, oldest first. The page asks GET /admin/requests for the rest. */
export interface RequestBatch {
  readonly records: readonly RequestRecord[]
  /** Records that were left out because a batch is bounded. */
  readonly skipped: number
}

/** As GET /admin/requests tells it. */
export type RequestRecord = z.output<typeof RequestRecordSchema>

/** All but the snapshot go to subscribers only; a slow reader gets the latest and misses those between. */
export interface ServerToClientEvents {
  snapshot: (snapshot: Snapshot) => void
  sample: (sample: Sample) => void
  requests: (batch: RequestBatch) => void
  map: (map: CacheMap) => void
  'what-if': (whatIf: WhatIf) => void
}

export interface ClientToServerEvents {
  /** The topics that this client wants from now on; the ones before no longer. Unknown ones are ignored. */
  subscribe: (topics: readonly Topic[]) => void
}
