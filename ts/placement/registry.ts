// Policies that a server can run, by name.

import { fifo } from './fifo.js'
import { lru } from './lru.js'
import { schedulerAware } from './scheduler-aware.js'
import type { PlacementPolicy, PolicyName } from './types.js'

const policies: Readonly<Record<PolicyName, PlacementPolicy>> = { fifo, lru, 'scheduler-aware': schedulerAware }

export const policyNames = Object.keys(policies) as readonly PolicyName[]

export function policyNamed(name: PolicyName): PlacementPolicy {
  return policies[name]
}
