// Policies by name.

import { lru } from './lru.js'
import type { PlacementPolicy, PolicyName } from './types.js'

const policies: Readonly<Record<PolicyName, PlacementPolicy>> = { lru }

export const policyNames = Object.keys(policies) as readonly PolicyName[]

export function policyNamed(name: PolicyName): PlacementPolicy {
  return policies[name]
}
