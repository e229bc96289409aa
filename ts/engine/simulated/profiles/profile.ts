// Hardware and model as data: what a simulated engine's steps and transfers cost.

import type { StepCosts } from '../../step-costs.js'
import type { SlotTierName } from '../../types.js'

/** What the machine costs, in dollars. */
export interface Prices {
  /** An hour of all its accelerators together, with the host around them. */
  readonly acceleratorHour: number
  /** A GiB for an hour. */
  readonly dramGibHour: number
  readonly ssdGibHour: number
}

export interface HardwareProfile extends StepCosts {
  readonly name: string
  readonly device: string
  readonly layers: number
  /** Bytes of KV a token, all layers. */
  readonly kvBytesPerToken: number
  readonly modelContext: number
  /** Most rows in a step, and most sequences that run or load at once. */
  readonly maxBatchTokens: number
  readonly maxRunning: number
  /** Bytes of each tier, unless told otherwise. */
  readonly tierBytes: Readonly<Record<SlotTierName, number>>
  /** Bytes a millisecond of each stream. */
  readonly loadRate: number
  readonly saveRate: number
  readonly readRate: number
  readonly writeRate: number
  /** Milliseconds before the first byte of a disk access, and of a flush. */
  readonly diskLatencyMs: number
  readonly flushMs: number
  readonly prices: Prices
}
