// The paper's setting (arXiv 2403.19708, section 4): ShareGPT-like sessions that start as a Poisson process of one a second,
// LLaMA-13B with a window of 4K, 128 GB of memory and 10 TB of disk, the first 10,000 turns as a warm-up. Through the server's own scheduler.

import { profileNamed } from '../../ts/engine/simulated/profiles/registry.js'
import type { PolicyName } from '../../ts/placement/types.js'
import { sumTiers, TIER_NAMES } from '../../ts/protocol/tiers.js'
import { runBaseline, runTiered, type Baseline, type TieredResult } from '../../ts/simulator/tiered/result.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import { shortened } from '../../ts/simulator/traces/shortened.js'
import { traceFile } from '../../test/support/corpus.js'
import type { Bench, BenchContext, Report, Table } from '../support/bench.js'
import { pauseTable } from './pauses.js'
import { prefillingTable } from './prefilling.js'
import { tightTable } from './tight.js'

const TRACE = 'sharegpt8k_sessions.jsonl.xz'
const PROFILE = 'paper-4xa100/llama-13b'
/** Policy → the paper's hit rate in %. */
const PAPER_HITS: ReadonlyArray<readonly [PolicyName, string]> = [
  ['scheduler-aware', '86'],
  ['lru', '58'],
  ['fifo', '48'],
  ['adaptive', '–'],
]
const WARM_UP = 10_000
/** Turns of the trace that are replayed, the warm-up included. */
const TURNS = 14_000
/** The paper's models end at 4K tokens, and what overflows is halved. */
const TRUNCATION = { contextWindow: 4096, truncationRatio: 0.5, reuseAfterTruncation: true } as const
/** Of those, for what is tried with prefilling that costs more. */
const DEARER_TURNS = 4000
const DEARER_WARM_UP = 2000

const percent = (share: number): string => (100 * share).toFixed(1)

function hitTable(results: readonly TieredResult[]): Table {
  return {
    title: `Prompt tokens hit, %, after the warm-up; misses by cause`,
    columns: ['policy', 'paper', 'ours', 'of the view', ...TIER_NAMES, 'outside the view', 'never seen', 'evicted', 'unknown'],
    rows: results.map(({ policy, token_hit_rate, view_hit_rate, hit_rate_by_tier: hit, miss_rate_by_cause: miss }) => [
      policy,
      PAPER_HITS.find(([name]) => name === policy)?.[1] ?? '–',
      percent(token_hit_rate),
      percent(view_hit_rate),
      ...[...TIER_NAMES.map(tier => hit[tier]), miss.outside_view, miss.never_seen, miss.evicted, miss.unknown].map(percent),
    ]),
  }
}

function gainTable(results: readonly TieredResult[]): Table {
  const row = (name: string, { ttft_ms, prefill_tokens_per_s, accelerator_s, cost }: Baseline): string[] => [
    name,
    ttft_ms.p50.toFixed(0),
    ttft_ms.p95.toFixed(0),
    prefill_tokens_per_s.toFixed(0),
    (accelerator_s / 3600).toFixed(2),
    cost.total.toFixed(3),
  ]
  const [first] = results
  return {
    title: 'Times and costs',
    columns: ['policy', 'TTFT p50 ms', 'p95', 'prefill tokens/s', 'accelerator h', '$ a million tokens'],
    rows: [...results.map((result) => row(result.policy, result)), ...(first ? [row('no reuse', first.without_reuse)] : [])],
  }
}

/** The paper's reductions for LLaMA-13B: TTFT 85 %, prefill throughput 6.8 times, cost 70 %. */
function gainNote(result: TieredResult): string {
  const { without_reuse: without } = result
  const less = (ours: number, theirs: number): string => `${(100 * (1 - ours / theirs)).toFixed(0)} %`
  const faster = (result.prefill_tokens_per_s / without.prefill_tokens_per_s).toFixed(1)
  return `${result.policy} against no reuse: TTFT p50 −${less(result.ttft_ms.p50, without.ttft_ms.p50)} (paper, mean: −85 %), prefill throughput ×${faster} (×6.8), cost −${less(result.cost.total, without.cost.total)} (−70 %)`
}

async function run({ quick, progress }: BenchContext): Promise<Report> {
  const path = traceFile(TRACE)
  const profile = profileNamed(PROFILE)
  if (path === null || !profile) return { tables: [], plots: [], notes: [`${TRACE} is not there: skipped`], data: [] }
  const trace = shortened(await readTrace(path), quick ? 4000 : TURNS)
  const options = { trace, profile, tierBytes: profile.tierBytes, warmUp: quick ? 2000 : WARM_UP, truncation: TRUNCATION }
  progress('no reuse')
  const baseline = await runBaseline(options, () => {})
  const results: TieredResult[] = []
  for (const [policy] of PAPER_HITS) {
    progress(policy)
    results.push(await runTiered(options, policy, baseline, () => {}))
  }
  progress('dearer prefilling')
  const dearer = await prefillingTable({ ...options, trace: shortened(trace, DEARER_TURNS), warmUp: DEARER_WARM_UP })
  progress('pauses')
  const pauses = await pauseTable(path, sumTiers(profile.tierBytes), profile.kvBytesPerToken, options.warmUp)
  const tight = await tightTable(path, options.warmUp)
  return { tables: [hitTable(results), gainTable(results), dearer, pauses, tight], plots: [], notes: results.slice(0, 1).map(gainNote), data: results }
}

export const paper: Bench = { name: 'paper', about: "the paper's setting: policies, times and costs of all tiers", isLong: true, run }
