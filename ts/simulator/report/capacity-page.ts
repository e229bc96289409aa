// The page of a simulation of one tier.

import type { CapacityResult } from '../capacity/result.js'
import type { Trace } from '../traces/trace.js'
import { missCurve } from './curve.js'
import { page, table } from './page.js'

/** `name` is the trace's, as the user wrote it. */
export function capacityPage(name: string, trace: Trace, results: readonly CapacityResult[]): string {
  const about = `${trace.format}, ${trace.requests.length} requests, ${trace.uniqueBlocks} unique blocks of ${trace.blockTokens} tokens. One tier, from empty; each request alone on ${results[0]?.profile ?? 'no machine'}.`
  const points = results.map((result) => ({
    line: result.policy,
    label: capacityText(result),
    blocks: result.capacity_blocks,
    missRate: 1 - result.block_hit_rate,
  }))
  return page(name, about, [
    { title: 'Miss ratio by capacity', body: missCurve(points) },
    { title: 'Figures', body: figures(results) },
  ])
}

function capacityText({ capacity, capacity_unit }: CapacityResult): string {
  return capacity_unit === '%' ? `${capacity} %` : `${capacity} B`
}

function figures(results: readonly CapacityResult[]): string {
  const heading = ['policy', 'capacity', 'block hits', 'token hits', 'TTFT p50 ms', 'p95', 'p99', 'computing, h']
  const rows = results.map((result) => [
    result.policy,
    capacityText(result),
    ...[result.block_hit_rate, result.token_hit_rate].map((share) => `${(100 * share).toFixed(1)} %`),
    ...[result.ttft_ms.p50, result.ttft_ms.p95, result.ttft_ms.p99].map((ms) => ms.toFixed(0)),
    (result.prefill_ms / 3.6e6).toFixed(2),
  ])
  return table(heading, rows)
}
