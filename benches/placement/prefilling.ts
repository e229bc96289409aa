// The savings of reuse where prefilling is more of the accelerators' work, as the paper's own figures say that it was: the paper's
// setting with rows that cost more.

import { leftOut, viewParameters } from '../../ts/engine/view.js'
import { runBaseline, runTiered, type TieredOptions } from '../../ts/simulator/tiered/result.js'
import type { TraceRequest } from '../../ts/simulator/traces/trace.js'
import type { Table } from '../support/bench.js'

/** Of what 59 % of the A100s' peak would take. */
const FACTORS = [1, 4, 16, 64] as const

const percent = (share: number): string => (100 * share).toFixed(0)

/** Tokens that a prompt's last one sees: what is computed without reuse. */
function seen({ truncation }: TieredOptions, { inputTokens, systemTokens = 0 }: TraceRequest): number {
  const view = truncation ? viewParameters(truncation.contextWindow, truncation.truncationRatio, systemTokens) : null
  return inputTokens - leftOut(view, inputTokens - 1)
}

async function rowOf(options: TieredOptions, factor: number): Promise<string[]> {
  const without = await runBaseline(options, () => {})
  const reused = await runTiered(options, 'scheduler-aware', without, () => {})
  const prompts = options.trace.requests.reduce((sum, request) => sum + seen(options, request), 0)
  const prefillS = (prompts * options.profile.stepPerRowMs) / 1000
  return [
    `× ${factor}`,
    percent(prefillS / without.accelerator_s),
    percent(reused.token_hit_rate),
    (reused.prefill_tokens_per_s / without.prefill_tokens_per_s).toFixed(1),
    percent(1 - without.prefill_tokens_per_s / reused.prefill_tokens_per_s),
    percent(1 - reused.ttft_ms.p50 / without.ttft_ms.p50),
    (without.accelerator_s / 3600).toFixed(2),
    (reused.accelerator_s / 3600).toFixed(2),
    percent(1 - reused.accelerator_s / without.accelerator_s),
    percent(1 - reused.cost.total / without.cost.total),
  ]
}

export async function prefillingTable(options: TieredOptions): Promise<Table> {
  const { profile } = options
  const rows: string[][] = []
  for (const factor of FACTORS) rows.push(await rowOf({ ...options, profile: { ...profile, stepPerRowMs: factor * profile.stepPerRowMs } }, factor))
  return {
    title: 'scheduler-aware against no reuse, where rows cost more',
    columns: ['rows cost', 'prompts, % of the hours', 'hit %', 'prefill ×', 'prefill time −%', 'TTFT p50 −%', 'h without reuse', 'with', 'hours −%', 'cost −%'],
    rows,
  }
}
