// The cost of a million tokens: accelerators while they are busy, memory and disk for as long as they hold the cache.

import type { Prices } from '../../engine/simulated/profiles/profile.js'
import type { SlotTierName } from '../../engine/types.js'

/** Dollars a million prompt and answer tokens. */
export interface Cost {
  readonly accelerator: number
  readonly storage: number
  readonly total: number
}

export interface CostFacts {
  readonly prices: Prices
  /** Milliseconds in which the accelerator computed or waited for a load. */
  readonly busyMs: number
  /** Milliseconds for which memory and disk were held. */
  readonly spanMs: number
  readonly tierBytes: Readonly<Record<SlotTierName, number>>
  readonly tokens: number
}

const HOUR_MS = 3_600_000
const GIB = 2 ** 30

export function costOf({ prices, busyMs, spanMs, tierBytes, tokens }: CostFacts): Cost {
  const millions = tokens / 1e6
  if (millions === 0) return { accelerator: 0, storage: 0, total: 0 }
  const accelerator = (prices.acceleratorHour * busyMs) / HOUR_MS / millions
  const gibHour = (tierBytes.dram * prices.dramGibHour + tierBytes.ssd * prices.ssdGibHour) / GIB
  const storage = (gibHour * spanMs) / HOUR_MS / millions
  return { accelerator, storage, total: accelerator + storage }
}
