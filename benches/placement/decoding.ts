// What reuse saves where prefilling is more of the accelerators' work: the paper's setting with decoding that costs less.

import type { HardwareProfile } from '../../ts/engine/simulated/profiles/profile.js'
import { runBaseline, runTiered, type TieredOptions } from '../../ts/simulator/tiered/result.js'
import type { Trace } from '../../ts/simulator/traces/trace.js'
import type { Table } from '../support/bench.js'

/** Of what a step costs beside its rows: its weights, and the history that it reads. */
const FACTORS = [1, 0.25, 0.05, 0] as const

const percent = (share: number): string => (100 * share).toFixed(0)

/** Steps that cost so much of what they do; rows of prompts cost the same. */
function cheaperSteps(profile: HardwareProfile, factor: number): HardwareProfile {
  return { ...profile, stepBaseMs: factor * profile.stepBaseMs, stepPerHistoryTokenMs: factor * profile.stepPerHistoryTokenMs }
}

async function rowOf(options: TieredOptions, factor: number): Promise<string[]> {
  const without = await runBaseline(options, () => {})
  const reused = await runTiered(options, 'scheduler-aware', without, () => {})
  const prompts = options.trace.requests.reduce((sum, { inputTokens }) => sum + inputTokens, 0)
  const prefillS = (prompts * options.profile.stepPerRowMs) / 1000
  return [
    `× ${factor}`,
    percent(prefillS / without.accelerator_s),
    (without.accelerator_s / 3600).toFixed(2),
    (reused.accelerator_s / 3600).toFixed(2),
    percent(1 - reused.ttft_ms.p50 / without.ttft_ms.p50),
    (reused.prefill_tokens_per_s / without.prefill_tokens_per_s).toFixed(1),
    percent(1 - reused.accelerator_s / without.accelerator_s),
    percent(1 - reused.cost.accelerator / without.cost.total),
    percent(1 - reused.cost.total / without.cost.total),
  ]
}

export async function decodingTable(trace: Trace, profile: HardwareProfile, warmUp: number): Promise<Table> {
  const rows: string[][] = []
  for (const factor of FACTORS) {
    rows.push(await rowOf({ trace, profile: cheaperSteps(profile, factor), tierBytes: profile.tierBytes, warmUp }, factor))
  }
  return {
    title: 'scheduler-aware against no reuse, where steps cost less beside their rows',
    columns: ['steps cost', 'prompts, % of the hours', 'h without reuse', 'with', 'TTFT p50 −%', 'prefill ×', 'hours −%', 'cost without storage −%', 'cost −%'],
    rows,
  }
}
