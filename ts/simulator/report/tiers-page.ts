// The page of a simulation of all tiers.

import type { CurvePoint } from '../capacity/curve.js'
import type { Baseline, TieredResult } from '../tiered/result.js'
import type { Trace } from '../traces/trace.js'
import { SLOT_TIERS, TIER_NAMES } from '../../protocol/tiers.js'
import { bars } from './bars.js'
import { missCurve } from './curve.js'
import { page, table } from './page.js'

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1)

/** `name` is the trace's, as the user wrote it. */
export function tiersPage(name: string, trace: Trace, results: readonly TieredResult[], curve: readonly CurvePoint[]): string {
  const [first] = results
  const sizes = first ? `${SLOT_TIERS.map((tier) => `${tier} ${gigabytes(first.tier_bytes[tier])}`).join(', ')} GB` : ''
  const view = first?.truncation ? ` Conversations see ${first.truncation.context_window} tokens at most, and continue beyond.` : ''
  const about = `${trace.format}, ${trace.requests.length} requests, on ${first?.profile ?? 'no machine'}: ${sizes}. The first ${first?.warm_up_requests ?? 0} requests are not counted, ${first?.refused_requests ?? 0} did not fit.${view}`
  return page(name, about, [
    { title: 'Sources of prompt tokens', body: sources(results) },
    { title: 'Times', body: times(results) },
    { title: 'Work and cost', body: work(results) },
    { title: 'Miss ratio of one tier by capacity', body: missCurve(curve.map(({ policy, share, blocks, missRate }) => ({ line: policy, label: `${share} %`, blocks, missRate }))) },
  ])
}

function sources(results: readonly TieredResult[]): string {
  const rows = results.map(({ policy, hit_rate_by_tier: hit, miss_rate_by_cause: miss }) => ({
    name: policy,
    shares: [...TIER_NAMES.map((tier) => hit[tier]), miss.never_seen, miss.evicted, miss.damaged, miss.outside_view, miss.unknown],
  }))
  const legend = [...TIER_NAMES, 'never seen', 'evicted', 'damaged', 'outside', 'unknown']
  return bars(rows, legend, 'Sources of prompt tokens') + table(['policy', 'token hits', 'block hits', ...legend], results.map((result, i) => [
    result.policy,
    percent(result.token_hit_rate),
    percent(result.block_hit_rate),
    ...(rows[i]?.shares ?? []).map(percent),
  ]))
}

function withBaseline(results: readonly TieredResult[], row: (figures: Baseline) => string[]): string[][] {
  const [first] = results
  const rows = results.map((result) => [result.policy, ...row(result)])
  return first ? [...rows, ['no reuse', ...row(first.without_reuse)]] : rows
}

function times(results: readonly TieredResult[]): string {
  const rows = withBaseline(results, ({ ttft_ms, prefill_tokens_per_s }) => [
    ...[ttft_ms.p50, ttft_ms.p95, ttft_ms.p99].map((ms) => ms.toFixed(0)),
    prefill_tokens_per_s.toFixed(0),
  ])
  return table(['policy', 'TTFT p50 ms', 'p95', 'p99', 'prefill tokens/s'], rows)
}

function work(results: readonly TieredResult[]): string {
  const rows = withBaseline(results, ({ accelerator_s, span_s, cost }) => [
    (accelerator_s / 3600).toFixed(2),
    (span_s / 3600).toFixed(2),
    ...[cost.accelerator, cost.storage, cost.total].map((dollars) => dollars.toFixed(3)),
  ])
  const moved = results.map(({ policy, bytes, ssd_drive_writes_per_day: writes }) => [
    policy,
    ...[bytes.loaded, bytes.saved, bytes.ssd_read, bytes.ssd_written].map(gigabytes),
    writes === null ? '–' : writes.toFixed(2),
  ])
  return (
    table(['policy', 'accelerator h', 'all h', '$ accelerator a million tokens', '$ storage', '$ together'], rows) +
    table(['policy', 'loaded GB', 'saved GB', 'read from ssd GB', 'written to ssd GB', 'drive writes a day'], moved)
  )
}
