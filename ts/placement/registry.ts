// Policies that a server can run, by name.

import { AdaptivePolicy } from './adaptive/adaptive.js'
import { fifo } from './fifo.js'
import { lru } from './lru.js'
import { schedulerAware } from './scheduler-aware.js'
import type { Experienced, PlacementPolicy, PolicyName } from './types.js'

const makers: Readonly<Record<PolicyName, () => PlacementPolicy<Experienced>>> = {
  fifo: () => fifo,
  lru: () => lru,
  'scheduler-aware': () => schedulerAware,
  adaptive: () => new AdaptivePolicy(),
}

export const policyNames = Object.keys(makers) as readonly PolicyName[]

/** A policy at the beginning of its life: nothing learnt. One serves all tiers of a cache. */
export function createPolicy(name: PolicyName): PlacementPolicy<Experienced> {
  return makers[name]()
}
