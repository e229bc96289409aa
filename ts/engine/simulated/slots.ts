// How many blocks tiers of so many bytes hold.

import { perSlotTier, TIERS } from '../../protocol/tiers.js'
import type { SlotTierName } from '../types.js'
import { BLOCK_TOKENS } from '../types.js'
import type { HardwareProfile } from './profiles/profile.js'

const PAGE = 4096

/** Bytes of a block in hbm, and of its extent in dram and on ssd: a header page, and whole pages of payload. */
export function blockSizes({ kvBytesPerToken }: HardwareProfile): { readonly blockBytes: number; readonly hostSlotBytes: number } {
  const blockBytes = kvBytesPerToken * BLOCK_TOKENS
  return { blockBytes, hostSlotBytes: PAGE + Math.ceil(blockBytes / PAGE) * PAGE }
}

/** Whole blocks of each tier. */
export function slotsOf(profile: HardwareProfile, bytes: Readonly<Record<SlotTierName, number>>): Record<SlotTierName, number> {
  const sizes = blockSizes(profile)
  return perSlotTier(tier => Math.floor(bytes[tier] / sizes[TIERS[tier].blockBytes]))
}
