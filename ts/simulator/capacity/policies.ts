// Policies that a trace can be replayed with: the server's own, and the bound that knows the future.

import { belady } from '../../placement/belady.js'
import { createPolicy, policyNames } from '../../placement/registry.js'
import type { PlacementPolicy, PolicyName } from '../../placement/types.js'
import type { TraceBlock } from './block.js'

export const SIMULATED_POLICIES = [...policyNames, 'belady'] as const

export type SimulatedPolicy = PolicyName | 'belady'

export function simulatedPolicy(name: SimulatedPolicy): PlacementPolicy<TraceBlock> {
  return name === 'belady' ? belady : createPolicy(name)
}
