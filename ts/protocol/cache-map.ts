// What the `map` topic brings: every tier's slots, small enough to be sent once a second, and the queue.

import type { TierName } from './tiers.js'

/** States of a cell, by number. Of several slots in one cell the highest is told. */
export const CELL_STATES = ['free', 'cached', 'waiting', 'moving', 'running'] as const

/**
 * free; cached: kept for later; waiting: a queued request wants it; moving: its bytes are under way, or a sequence writes
 * it; running: a running request refers to it.
 */
export type CellState = (typeof CELL_STATES)[number]

/** Age of a cell that holds nothing. */
export const NO_AGE = 255

/** Bytes of `Uint8Array`s and (little-endian) `Uint16Array`s as base64: one number a cell, slot 0 first. */
export interface TierMap {
  readonly name: TierName
  readonly slots: number
  /** 1, or more in a tier with more slots than a map may have cells; the last cell may stand for fewer. */
  readonly slotsPerCell: number
  /** Bytes: index into CELL_STATES. */
  readonly states: string
  /** Bytes: floor(log2(1 + seconds since the last use)), NO_AGE for a free cell. Of several slots the youngest. */
  readonly ages: string
  /** 16 bits: index into `owners` of the conversation that used the slot last. */
  readonly owners: string
}

export interface Owner {
  readonly conversation: string
  readonly tenant: string
}

/** A request that waits. */
export interface QueuedRequest {
  readonly requestId: string
  readonly conversation: string
  readonly tenant: string
  readonly waitingMs: number
  readonly promptTokens: number
  /** Blocks of its history that are there, by the fastest tier in which they lie now. */
  readonly blocks: Readonly<Record<TierName, number>>
  /** Placement plans for it. */
  readonly isInWindow: boolean
}

export interface Queue {
  /** Requests that wait, all together. */
  readonly length: number
  /** How many of them, from the front, are in the look-ahead window. */
  readonly window: number
  /** The front of the queue, bounded. */
  readonly front: readonly QueuedRequest[]
}

export interface CacheMap {
  readonly uptimeMs: number
  readonly policy: string
  readonly tiers: readonly TierMap[]
  /** The first stands for unknown ones: blocks from before a restart, and conversations beyond the bound. */
  readonly owners: readonly Owner[]
  readonly queue: Queue
}
