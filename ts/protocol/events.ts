// Events of the socket at the default socket.io path. The server sends, the page listens; both are bound to these types.

import type { TierName } from './tiers.js'

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
}

export interface TierSample {
  readonly name: TierName
  readonly medium: string
  readonly capacityBytes: number
  readonly usedBytes: number
  readonly capacityBlocks: number
  readonly blocks: { readonly total: number; readonly running: number; readonly cached: number }
  /** Prompt tokens served from this tier since start. */
  readonly hitTokens: number
}

/** One direction of transfer since start; `queueDepth` is now. */
export interface TransferSample {
  readonly bytes: number
  readonly ms: number
  readonly queueDepth: number
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
  }
  readonly blocks: {
    readonly saved: number
    readonly loaded: number
    readonly promoted: number
    readonly demoted: number
    /** By cause: `evicted`, `write_queue_full`, `damaged`, … */
    readonly dropped: Readonly<Record<string, number>>
  }
  readonly preemptions: number
  readonly steps: {
    readonly count: number
    readonly computeMs: number
    readonly loadStallMs: number
    readonly stalledLayers: number
    readonly scheduleMs: { readonly p50: number; readonly p99: number }
  }
  /** Time to first token of the turns that began to answer since the last sample, milliseconds; null: none did. */
  readonly ttftMs: { readonly count: number; readonly p50: number; readonly max: number } | null
  /** load: dram → hbm, save: hbm → dram, read: ssd → dram, write: dram → ssd. */
  readonly transfers: Readonly<Record<'load' | 'save' | 'read' | 'write', TransferSample>>
  readonly damagedReads: number
  /** Event-loop delay since the last sample, milliseconds. */
  readonly eventLoopDelayMs: { readonly p50: number; readonly p99: number }
  readonly residentBytes: number
}

/** The whole state, sent once at every (re)connect. */
export interface Snapshot {
  readonly info: ServerInfo
  readonly sample: Sample
}

export interface ServerToClientEvents {
  snapshot: (snapshot: Snapshot) => void
  /** Twice a second; a slow reader gets the latest and misses those between. */
  sample: (sample: Sample) => void
}

/** A client sends nothing. */
export type ClientToServerEvents = Record<string, never>
