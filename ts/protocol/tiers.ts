// Names of the storage tiers, fastest first.

export const TIER_NAMES = ['hbm', 'dram', 'ssd'] as const

export type TierName = (typeof TIER_NAMES)[number]
