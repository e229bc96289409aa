// Policies as the one-tier cache drives them: the server's own, with what they want to be told.

import { AdaptivePolicy, type Use } from '../../placement/adaptive/adaptive.js'
import { belady } from '../../placement/belady.js'
import { policyNamed, policyNames } from '../../placement/registry.js'
import type { PlacementPolicy, PolicyName } from '../../placement/types.js'
import type { TraceBlock } from './block.js'

export interface Driver {
  readonly policy: PlacementPolicy<TraceBlock>
  /** Has to know when every block is used next. */
  readonly seesAll: boolean
  /** A block that a resident one continues stays. Not so for the baseline that knows nothing of chains. */
  readonly leavesFirst: boolean
  /** Ranks change with time alone. */
  readonly drifts: boolean
  begin(use: Use): void
  used(block: TraceBlock, isPartialTail: boolean): void
}

const DEAF = { drifts: false, begin: () => {}, used: () => {} } as const

export const SIMULATED_POLICIES = [...policyNames, 'adaptive', 'belady'] as const

export type SimulatedPolicy = PolicyName | 'adaptive' | 'belady'

/** A policy at the beginning of its life: nothing learnt. */
export function driverOf(name: SimulatedPolicy): Driver {
  if (name === 'belady') return { policy: belady, seesAll: true, leavesFirst: true, ...DEAF }
  if (name !== 'adaptive') return { policy: policyNamed(name), seesAll: false, leavesFirst: name !== 'fifo', ...DEAF }
  const policy = new AdaptivePolicy()
  return {
    policy,
    seesAll: false,
    leavesFirst: true,
    drifts: true,
    begin: (use) => policy.begin(use),
    used: (block, isPartialTail) => policy.used(block, isPartialTail),
  }
}
