// The report of a simulation of one tier: one object a policy and capacity.

import type { HardwareProfile } from '../../engine/simulated/profiles/profile.js'
import { quantiles, type Quantiles } from '../quantiles.js'
import type { Trace } from '../traces/trace.js'
import type { SimulatedPolicy } from './policies.js'
import { replayCapacity } from './replay.js'
import { timeAlone } from './ttft.js'

/** A share of the trace's unique blocks, in percent, or a size. */
export interface Capacity {
  readonly amount: number
  readonly unit: '%' | 'bytes'
}

export interface CapacityResult {
  readonly policy: SimulatedPolicy
  readonly capacity: number
  readonly capacity_unit: Capacity['unit']
  readonly capacity_blocks: number
  readonly look_ahead: number
  readonly profile: string
  readonly trace_format: string
  readonly unique_blocks: number
  readonly requests: number
  /** Shares, 0 … 1. */
  readonly block_hit_rate: number
  readonly any_block_hit_rate: number
  readonly token_hit_rate: number
  readonly prompt_tokens: number
  readonly hit_tokens: number
  /** Of each request alone on the machine of the profile. */
  readonly ttft_ms: Quantiles
  /** All of them together. */
  readonly prefill_ms: number
}

export interface CapacityRun {
  readonly trace: Trace
  readonly policy: SimulatedPolicy
  readonly capacity: Capacity
  readonly lookAhead: number
  readonly profile: HardwareProfile
}

/** Blocks that the capacity holds; shares are rounded, sizes hold whole blocks. */
export function blocksOf({ amount, unit }: Capacity, trace: Trace, profile: HardwareProfile): number {
  if (unit === '%') return Math.round((trace.uniqueBlocks * amount) / 100)
  return Math.floor(amount / (trace.blockTokens * profile.kvBytesPerToken))
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)

export function runCapacity(run: CapacityRun, onRequest?: (served: number) => void): CapacityResult {
  const { trace, policy, capacity, lookAhead, profile } = run
  const capacityBlocks = blocksOf(capacity, trace, profile)
  const times = new Float64Array(trace.requests.length)
  const counts = replayCapacity(trace, { policy, capacityBlocks, lookAhead }, (served, { inputTokens }, hitTokens) => {
    times[served - 1] = timeAlone(profile, inputTokens, hitTokens)
    onRequest?.(served)
  })
  return {
    policy,
    capacity: capacity.amount,
    capacity_unit: capacity.unit,
    capacity_blocks: capacityBlocks,
    look_ahead: lookAhead,
    profile: profile.name,
    trace_format: trace.format,
    unique_blocks: trace.uniqueBlocks,
    requests: counts.requests,
    block_hit_rate: share(counts.hitBlocks, counts.promptBlocks),
    any_block_hit_rate: share(counts.presentBlocks, counts.promptBlocks),
    token_hit_rate: share(counts.hitTokens, counts.promptTokens),
    prompt_tokens: counts.promptTokens,
    hit_tokens: counts.hitTokens,
    ttft_ms: quantiles(times),
    prefill_ms: times.reduce((sum, ms) => sum + ms, 0),
  }
}
