// The options of createInferenceService, and the defaults that fit an engine.

import { openDatabase, type Database, type DatabaseOptions } from '../../directory/database.js'
import { systemClock, type Clock } from '../../engine/clock.js'
import type { KeyedTier } from '../../engine/keyed-tier.js'
import { BLOCK_TOKENS, type EngineInfo } from '../../engine/types.js'
import { MIN_WINDOW } from '../../engine/view.js'
import type { PolicyName } from '../../placement/types.js'
import { DEFAULTS } from '../../protocol/defaults.js'
import type { DiskReport } from '../../protocol/disk.js'
import type { Fault } from '../../protocol/fault.js'
import type { HistoryChoice } from '../costs/load-or-recompute.js'
import type { MachineRecord } from '../costs/machine.js'

/** One line of `--request-log`. No text: hashes of 64-token blocks only. */
export interface RequestLogRecord {
  /** Milliseconds since the service started, when the request was accepted. */
  readonly t_ms: number
  readonly conversation: string
  readonly tenant: string
  readonly input_tokens: number
  /** The prompt's first ones, which are its system prompt. */
  readonly system_tokens: number
  readonly output_tokens: number
  /** Salted, of the 64-token blocks of prompt and answer, the last partial one included; hex. */
  readonly block_hashes: readonly string[]
  /** Prompt tokens that were reused, all tiers together, and those that the first computed one does not see. */
  readonly reused: number
  readonly outside_view: number
  /** Only where it was not said before, or something of it has changed by more than a tenth. */
  readonly machine?: MachineRecord
}

export interface ServiceOptions {
  /** Directory that holds `store/`. null: directory and conversations live in memory only. @default null */
  readonly dataDir: string | null
  /** Opens the store of a data directory; tests replace it. @default SQLite */
  readonly openDatabase: (dataDir: string, options: Partial<DatabaseOptions>) => Database
  /** Longest sequence in tokens; `max_model_len`. At most `contextThatFits(hbm slots)`. @default what fits */
  readonly maxContext: number
  /**
   * Window of conversations that ask for truncation, in tokens; null: none may ask. Whole blocks, MIN_WINDOW to
   * maxContext. @default maxContext, if it is long enough
   */
  readonly contextWindow: number | null
  /** Share of window without head that is left out at a time, 0 < ratio ≤ 1. @default 0.5 */
  readonly truncationRatio: number
  /** false: KV from before a truncation is not used after it, as where positions are part of it. @default true */
  readonly reuseAfterTruncation: boolean
  /** Most requests that wait. @default 256 */
  readonly maxQueue: number
  /** Most sequences that run or load at once. @default 256, at most maxBatchTokens */
  readonly maxRunning: number
  /** Most rows in a step. @default the engine's */
  readonly maxBatchTokens: number
  /** @default 'adaptive' */
  readonly policy: PolicyName
  /** A tier below dram whose copies are found by key. It needs a dram tier. @default null */
  readonly keyedTier: KeyedTier | null
  /** Every request computes everything, nothing is kept, no file is opened. @default false */
  readonly noReuse: boolean
  /** The plan of step N+1 is sent while N runs. @default true */
  readonly overlap: boolean
  /** false: loads finish before a request joins. @default true */
  readonly preload: boolean
  /** Layers that must be loaded before a request joins; null: by prediction. @default null */
  readonly preloadLayers: number | null
  /** Blocks that the queue's first requests will need are fetched before their turn. @default true */
  readonly prefetch: boolean
  /** The way to get history that lies on ssd; `auto`: the one that is predicted to be the fastest. @default 'auto' */
  readonly history: 'auto' | HistoryChoice
  /** The next step waits until the saves of the last one are done. @default false */
  readonly syncSave: boolean
  /** Bytes of dram a second that are compared with their checksums in the background; 0: none. @default 0 */
  readonly scrubRate: number
  /** Blocks that no turn touched for this long are dropped; null: never. @default null */
  readonly sessionTtlMs: number | null
  /** Milliseconds between a finished write and the commit that names it, at most. @default 250 */
  readonly commitIntervalMs: number
  /** Bytes of token records, and conversations, that are remembered. @default 64 MiB, 100000 */
  readonly maxRecordBytes: number
  readonly maxConversations: number
  /** Variables that chat templates get to see where a turn does not set them. @default none */
  readonly templateArguments: Readonly<Record<string, unknown>>
  /** Bytes of responses that clients may name again, and milliseconds since their last use. @default 64 MiB, a day */
  readonly maxResponseBytes: number
  readonly responseTtlMs: number
  /** Those responses outlive the service, sealed in `dataDir`, which must not be null then. @default false */
  readonly storeResponses: boolean
  /** @default the machine's */
  readonly clock: Clock
  /** Makes conversation ids; tests replace it. @default conv_<uuid> */
  readonly newConversationId: () => string
  /** @default null */
  readonly onRequestLogged: ((record: RequestLogRecord) => void) | null
  /** Told of every fault that was handled where it was met; a listener that writes them down bounds the lines. @default none */
  readonly onFault: (fault: Fault) => void
  /** Told of every change of a disk that the service writes to; null: the disk is not watched. @default null */
  readonly onDisk: ((report: DiskReport) => void) | null
}

/**
 * Longest context in tokens that an hbm tier of `slots` blocks can serve: one slot is kept for the source of a
 * fork's copy. 0 if the tier is too small for any.
 */
export function contextThatFits(slots: number): number {
  return Math.max(0, slots - 1) * BLOCK_TOKENS
}

/** The longest window within `tokens`; null: they are too few for any. */
export function windowOf(tokens: number): number | null {
  const window = Math.floor(tokens / BLOCK_TOKENS) * BLOCK_TOKENS
  return window < MIN_WINDOW ? null : window
}

/** Defaults for an engine; whatever `given` sets wins. */
export function serviceOptions(info: EngineInfo, given: Partial<ServiceOptions>): ServiceOptions {
  const maxBatchTokens = given.maxBatchTokens ?? info.maxBatchTokens
  const maxContext = given.maxContext ?? Math.min(info.modelContext, contextThatFits(info.slots.hbm))
  return {
    dataDir: null,
    maxContext,
    contextWindow: windowOf(maxContext),
    truncationRatio: DEFAULTS.truncationRatio,
    reuseAfterTruncation: true,
    maxQueue: DEFAULTS.maxQueue,
    maxRunning: Math.min(256, maxBatchTokens),
    maxBatchTokens,
    policy: DEFAULTS.policy,
    keyedTier: null,
    noReuse: false,
    overlap: true,
    preload: true,
    preloadLayers: null,
    prefetch: true,
    history: DEFAULTS.history,
    syncSave: false,
    scrubRate: 0,
    sessionTtlMs: null,
    commitIntervalMs: 250,
    maxRecordBytes: 64 * 1024 * 1024,
    maxConversations: 100_000,
    templateArguments: {},
    maxResponseBytes: DEFAULTS.maxResponseBytes,
    responseTtlMs: DEFAULTS.responseTtlMs,
    storeResponses: false,
    openDatabase,
    clock: systemClock,
    newConversationId: () => `conv_${crypto.randomUUID()}`,
    onRequestLogged: null,
    onFault: () => {},
    onDisk: null,
    ...given,
  }
}
