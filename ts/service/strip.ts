// Where the blocks of a conversation lie, in a few numbers.

import type { Block } from '../directory/block.js'
import type { TierName } from '../engine/types.js'
import { perTier, TIER_NAMES } from '../protocol/tiers.js'
import type { Held, PlacedRun } from './types.js'

/** Blocks and tokens by the fastest tier that has them. */
export function tiersOf(blocks: Iterable<Block>): Record<TierName, Held> {
  const held = perTier(() => ({ blocks: 0, tokens: 0 }))
  for (const block of blocks) {
    const { tier } = block
    if (tier === null) continue
    held[tier].blocks++
    held[tier].tokens += block.valid
  }
  return held
}

/** Runs of `length` places. Where branches have different blocks at one place, the one in the fastest tier counts. */
export function stripOf(blocks: Iterable<Block>, length: number): PlacedRun[] {
  const places = new Uint8Array(length).fill(TIER_NAMES.length)
  for (const { index, tier } of blocks) {
    if (tier === null || index >= length) continue
    places[index] = Math.min(places[index] as number, TIER_NAMES.indexOf(tier))
  }
  const runs: Array<{ tier: TierName | null; blocks: number }> = []
  for (const place of places) {
    const tier = TIER_NAMES[place] ?? null
    const last = runs.at(-1)
    if (last?.tier === tier) last.blocks++
    else runs.push({ tier, blocks: 1 })
  }
  return runs
}
