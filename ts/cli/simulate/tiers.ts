// `simulate` without --capacity: all tiers, a policy at a time, beside a server that keeps nothing.

import type { HardwareProfile } from '../../engine/simulated/profiles/profile.js'
import { invalidOption } from '../../config/units.js'
import type { SlotTierName } from '../../engine/types.js'
import type { PolicyName } from '../../placement/types.js'
import { TIER_NAMES } from '../../protocol/tiers.js'
import { missCurveOf } from '../../simulator/capacity/curve.js'
import { tiersPage } from '../../simulator/report/tiers-page.js'
import { longestContext, type TieredTruncation } from '../../simulator/tiered/replay.js'
import { runBaseline, runTiered, type TieredResult } from '../../simulator/tiered/result.js'
import type { Trace } from '../../simulator/traces/trace.js'
import type { Found } from './found.js'
import { aligned, percent } from './table.js'

interface TierRuns {
  readonly trace: Trace
  readonly policies: readonly PolicyName[]
  readonly profile: HardwareProfile
  readonly tierBytes: Readonly<Record<SlotTierName, number>>
  readonly warmUp: number
  readonly truncation: TieredTruncation | null
}

export async function simulateTiers(runs: TierRuns, onProgress: (share: number) => void): Promise<Found> {
  const { trace, policies, profile, tierBytes, truncation } = runs
  const longest = longestContext(profile, tierBytes)
  if (longest < 2) throw invalidOption('--hbm-bytes', `${tierBytes.hbm} bytes hold no context of ${profile.name}`)
  if (truncation && truncation.contextWindow > longest) {
    throw invalidOption('--context-window', `${truncation.contextWindow} tokens are more than ${profile.name} and its hbm take: ${longest}`)
  }
  const total = (policies.length + 1) * trace.requests.length
  let served = 0
  const onAnswer = (): void => onProgress(++served / total)
  const baseline = await runBaseline(runs, onAnswer)
  const results: TieredResult[] = []
  for (const policy of policies) results.push(await runTiered(runs, policy, baseline, onAnswer))
  onProgress(1)
  return { text: summary(results), results, page: (name) => tiersPage(name, trace, results, missCurveOf(trace, policies)) }
}

function summary(results: readonly TieredResult[]): string {
  // Tokens outside every view cannot be hit.
  const isTruncated = results.some(({ truncation }) => truncation !== null)
  const ofView = (cell: string): string[] => (isTruncated ? [cell] : [])
  const heading = ['policy', 'token hits', ...ofView('of the view'), ...TIER_NAMES, 'ttft p50', 'p95', 'p99 ms', 'prefill/s', 'busy h', '$/M tokens']
  const rows = results.map((result) => [
    result.policy,
    percent(result.token_hit_rate),
    ...ofView(percent(result.view_hit_rate)),
    ...Object.values(result.hit_rate_by_tier).map(percent),
    ...timesAndCost(result),
  ])
  const [baseline] = results.map(({ without_reuse }) => ['(no reuse)', ...Array<string>(isTruncated ? 5 : 4).fill(percent(0)), ...timesAndCost(without_reuse)])
  return aligned([heading, ...rows, ...(baseline ? [baseline] : [])])
}

function timesAndCost({ ttft_ms, prefill_tokens_per_s, accelerator_s, cost }: TieredResult['without_reuse']): string[] {
  const times = [ttft_ms.p50, ttft_ms.p95, ttft_ms.p99].map((ms) => ms.toFixed(0))
  return [...times, prefill_tokens_per_s.toFixed(0), (accelerator_s / 3600).toFixed(2), cost.total.toFixed(3)]
}
