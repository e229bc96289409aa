// The storage tiers, fastest first: one table, and everything that is said of all of them is made from it.

/** The place of blocks at one speed and price. */
interface TierRow {
  /** The medium in words; of `device` the engine knows more. */
  readonly medium: 'device' | 'host memory' | 'disk'
  /** Its blocks outlive a restart. */
  readonly isDurable: boolean
  /**
   * `slot`: the directory allots a slot to each copy, and knows of every copy. `key`: a copy is found by its block's key
   * alone, and whether it is there may be answered later (`ts/engine/keyed-tier.ts`).
   */
  readonly address: 'slot' | 'key'
  /** Which of the engine's figures is the size of one of its blocks. */
  readonly blockBytes: 'blockBytes' | 'hostSlotBytes'
  /** Where a block is, in words. */
  readonly place: string
}

export const TIERS = {
  hbm: { medium: 'device', isDurable: false, address: 'slot', blockBytes: 'blockBytes', place: 'in hbm' },
  dram: { medium: 'host memory', isDurable: false, address: 'slot', blockBytes: 'hostSlotBytes', place: 'in dram' },
  ssd: { medium: 'disk', isDurable: true, address: 'slot', blockBytes: 'hostSlotBytes', place: 'on ssd' },
} as const satisfies Readonly<Record<string, TierRow>>

type Table = typeof TIERS

export type TierName = keyof Table

/** The tiers whose copies lie in slots: the directory, placement and the engine's transfers know these. */
export type SlotTierName = { [Name in TierName]: Table[Name]['address'] extends 'slot' ? Name : never }[TierName]

/** Slot tiers that have a faster one above. */
export type LowerTierName = Exclude<SlotTierName, 'hbm'>

/** Fastest first. */
export const TIER_NAMES = Object.keys(TIERS) as readonly TierName[]

export const SLOT_TIERS = TIER_NAMES.filter((name): name is SlotTierName => TIERS[name].address === 'slot')

export const LOWER_TIERS = SLOT_TIERS.slice(1) as readonly LowerTierName[]

/** Slot tiers that are faster than this one, fastest first. */
export function tiersAbove(tier: SlotTierName): readonly SlotTierName[] {
  return SLOT_TIERS.slice(0, SLOT_TIERS.indexOf(tier))
}

/** One value a tier. */
export function perTier<Value>(of: (tier: TierName) => Value): Record<TierName, Value> {
  return record(TIER_NAMES, of)
}

/** One value a slot tier. */
export function perSlotTier<Value>(of: (tier: SlotTierName) => Value): Record<SlotTierName, Value> {
  return record(SLOT_TIERS, of)
}

/** The sum over all tiers that have a value. */
export function sumTiers(values: Readonly<Partial<Record<TierName, number>>>): number {
  let sum = 0
  for (const tier of TIER_NAMES) sum += values[tier] ?? 0
  return sum
}

function record<Name extends string, Value>(names: readonly Name[], of: (name: Name) => Value): Record<Name, Value> {
  const values: Partial<Record<Name, Value>> = {}
  for (const name of names) values[name] = of(name)
  return values as Record<Name, Value>
}
