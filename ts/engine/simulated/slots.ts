// How many blocks tiers of so many bytes hold.

import type { TierName } from '../types.js'
import { BLOCK_TOKENS } from '../types.js'
import type { HardwareProfile } from './profiles/profile.js'

const PAGE = 4096

/** Bytes of a block in hbm, and of its extent in dram and on ssd: a header page, and whole pages of payload. */
export function blockSizes({ kvBytesPerToken }: HardwareProfile): { readonly blockBytes: number; readonly hostSlotBytes: number } {
  const blockBytes = kvBytesPerToken * BLOCK_TOKENS
  return { blockBytes, hostSlotBytes: PAGE + Math.ceil(blockBytes / PAGE) * PAGE }
}

/** Whole blocks of each tier. */
export function slotsOf(profile: HardwareProfile, bytes: Readonly<Record<TierName, number>>): Record<TierName, number> {
  const { blockBytes, hostSlotBytes } = blockSizes(profile)
  return {
    hbm: Math.floor(bytes.hbm / blockBytes),
    dram: Math.floor(bytes.dram / hostSlotBytes),
    ssd: Math.floor(bytes.ssd / hostSlotBytes),
  }
}
