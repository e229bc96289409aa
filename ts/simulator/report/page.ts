// The report as one HTML page that needs nothing else: no script, no style sheet, no picture from elsewhere.

import type { CapacityResult } from '../capacity/result.js'
import type { Trace } from '../traces/trace.js'
import { curve, type Line } from './curve.js'
import { escaped } from './escape.js'

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1f2328}
svg{width:100%;height:auto;font-size:12px}table{border-collapse:collapse;width:100%}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}`

/** `name` is the trace's, as the user wrote it. */
export function reportPage(name: string, trace: Trace, results: readonly CapacityResult[]): string {
  const about = `${trace.format}, ${trace.requests.length} requests, ${trace.uniqueBlocks} unique blocks of ${trace.blockTokens} tokens. One tier, from empty; each request alone on ${results[0]?.profile ?? 'no machine'}.`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(name)}</title><style>${STYLE}</style></head><body>
<h1>${escaped(name)}</h1>
<p>${escaped(about)}</p>
<h2>Miss ratio by capacity</h2>
${missCurve(results)}
<h2>Figures</h2>
${figures(results)}
</body></html>
`
}

function capacityText({ capacity, capacity_unit }: CapacityResult): string {
  return capacity_unit === '%' ? `${capacity} %` : `${capacity} B`
}

/** Tiers that hold nothing have no place on a logarithmic scale. */
function missCurve(results: readonly CapacityResult[]): string {
  const shown = results.filter(({ capacity_blocks }) => capacity_blocks > 0)
  if (shown.length === 0) return '<p>No tier holds a block.</p>'
  const names = [...new Set(shown.map(({ policy }) => policy))]
  const lines: Line[] = names.map((policy) => ({
    name: policy,
    points: shown
      .filter((result) => result.policy === policy)
      .map(({ capacity_blocks, block_hit_rate }) => ({ x: capacity_blocks, y: 1 - block_hit_rate }))
      .sort((a, b) => a.x - b.x),
  }))
  const labels = new Map(shown.map((result) => [result.capacity_blocks, capacityText(result)]))
  return curve(lines, 'Miss ratio by capacity', [...labels].map(([x, text]) => ({ x, text })))
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
  const row = (cells: readonly string[], tag: 'th' | 'td'): string => `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`
  return `<table>${row(heading, 'th')}${rows.map((cells) => row(cells, 'td')).join('\n')}</table>`
}
