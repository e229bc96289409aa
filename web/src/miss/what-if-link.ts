// Links to What if with a tier and an added size chosen, and how the page reads them back.

import { TIER_NAMES, type Sample, type TierName } from 'attentionstore/protocol'

export interface WhatIfLink {
  readonly path: '/what-if'
  readonly query: { readonly tier: TierName; readonly add: string }
}

/** A tier that is off would be turned on with this. */
const FIRST_BYTES = 2 ** 30

/** As much again as the tier has. */
export function tierLink(sample: Sample | null, tier: TierName): WhatIfLink {
  const own = sample?.tiers.find(({ name }) => name === tier)?.capacityBytes ?? 0
  return { path: '/what-if', query: { tier, add: String(own > 0 ? own : FIRST_BYTES) } }
}

export interface ChosenCapacity {
  readonly tier: TierName
  /** Bytes to add. */
  readonly add: number
}

/** null: the address names no tier, or no size of 0 and more. */
export function chosenCapacity(query: Readonly<Record<string, unknown>>): ChosenCapacity | null {
  const tier = TIER_NAMES.find((name) => name === query['tier'])
  const add = typeof query['add'] === 'string' && /^\d{1,18}$/.test(query['add']) ? Number(query['add']) : null
  return tier === undefined || add === null ? null : { tier, add }
}
