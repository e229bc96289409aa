// `simulate --capacity`: one tier, a policy and capacity at a time.

import type { HardwareProfile } from '../../engine/simulated/profiles/profile.js'
import type { SimulatedPolicy } from '../../simulator/capacity/policies.js'
import { runCapacity, type Capacity, type CapacityResult } from '../../simulator/capacity/result.js'
import { capacityPage } from '../../simulator/report/capacity-page.js'
import type { Trace } from '../../simulator/traces/trace.js'
import type { Found } from './found.js'
import { aligned, percent } from './table.js'

interface CapacityRuns {
  readonly trace: Trace
  readonly policies: readonly SimulatedPolicy[]
  readonly capacities: readonly Capacity[]
  readonly lookAhead: number
  readonly profile: HardwareProfile
}

export function simulateCapacities({ trace, policies, capacities, lookAhead, profile }: CapacityRuns, onProgress: (share: number) => void): Found {
  const settings = policies.flatMap((policy) => capacities.map((capacity) => ({ policy, capacity })))
  const total = settings.length * trace.requests.length
  const results = settings.map((setting, done) =>
    runCapacity({ trace, ...setting, lookAhead, profile }, (served) => onProgress((done * trace.requests.length + served) / total)),
  )
  return { text: summary(results), results, page: (name) => capacityPage(name, trace, results) }
}

function summary(results: readonly CapacityResult[]): string {
  const rows = results.map((result) => [
    result.policy,
    result.capacity_unit === '%' ? `${result.capacity} %` : `${result.capacity} bytes`,
    percent(result.block_hit_rate),
    percent(result.token_hit_rate),
    ...[result.ttft_ms.p50, result.ttft_ms.p95, result.ttft_ms.p99].map((ms) => ms.toFixed(0)),
  ])
  return aligned([['policy', 'capacity', 'block hits', 'token hits', 'ttft p50', 'p95', 'p99 ms'], ...rows])
}
