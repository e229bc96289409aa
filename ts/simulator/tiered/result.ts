// The report of a simulation of all tiers: one object a policy.

import type { HardwareProfile } from '../../engine/simulated/profiles/profile.js'
import { BLOCK_TOKENS } from '../../engine/types.js'
import type { PolicyName } from '../../placement/types.js'
import { perSlotTier, perTier, sumTiers, TIER_NAMES, type SlotTierName, type TierName } from '../../protocol/tiers.js'
import type { MissedPrompt, TurnUsage } from '../../service/types.js'
import { quantiles, type Quantiles } from '../quantiles.js'
import type { Trace } from '../traces/trace.js'
import { costOf, type Cost } from './cost.js'
import { replayTiers, type TieredRun, type TieredSetting, type TieredTruncation } from './replay.js'

type ByTier = Readonly<Record<TierName, number>>
/** Bytes. */
type TierSizes = Readonly<Record<SlotTierName, number>>

export interface TieredResult {
  readonly policy: PolicyName
  /** Bytes of all tiers together. */
  readonly capacity: number
  readonly capacity_unit: 'bytes'
  readonly tier_bytes: TierSizes
  readonly profile: string
  /** null: what was longer than the context was refused. */
  readonly truncation: null | { readonly context_window: number; readonly truncation_ratio: number; readonly reuse_after_truncation: boolean }
  readonly trace_format: string
  readonly unique_blocks: number
  /** Answered; the first `warm_up_requests` of the trace are not in any figure below but those of the machine. */
  readonly requests: number
  readonly warm_up_requests: number
  readonly refused_requests: number
  /** Shares of prompt tokens, and of prompt blocks whose whole prefix was there: 0 … 1. */
  readonly token_hit_rate: number
  readonly block_hit_rate: number
  /** Of prompt blocks that were there, prefix or not. */
  readonly any_block_hit_rate: number
  /** Of prompt tokens inside the view. */
  readonly view_hit_rate: number
  readonly hit_rate_by_tier: ByTier
  readonly miss_rate_by_cause: Readonly<Record<'never_seen' | 'evicted' | 'damaged' | 'outside_view' | 'unknown', number>>
  readonly prompt_tokens: number
  readonly hit_tokens: number
  readonly output_tokens: number
  /** Milliseconds, queueing included. */
  readonly ttft_ms: Quantiles
  readonly queue_ms: Quantiles
  /** Prompt tokens, reused ones included, a second between joining a batch and the first token. */
  readonly prefill_tokens_per_s: number
  /** Seconds in which the accelerator computed, and in which it waited for loads. */
  readonly accelerator_s: number
  readonly load_stall_s: number
  /** Seconds from the first arrival to the end of the last answer. */
  readonly span_s: number
  readonly bytes: { readonly loaded: number; readonly saved: number; readonly ssd_read: number; readonly ssd_written: number }
  /** Times that the whole disk tier would be written in a day of this traffic; null without one. */
  readonly ssd_drive_writes_per_day: number | null
  /** Of a million prompt and answer tokens. */
  readonly cost: Cost
  readonly without_reuse: Baseline
}

/** The same trace on the same machine where every request computes everything. */
export interface Baseline {
  readonly ttft_ms: Quantiles
  readonly prefill_tokens_per_s: number
  readonly accelerator_s: number
  readonly span_s: number
  readonly cost: Cost
}

export interface TieredOptions {
  readonly trace: Trace
  readonly profile: HardwareProfile
  readonly tierBytes: TierSizes
  /** Requests at the trace's beginning that are served and not counted. */
  readonly warmUp: number
  /** @default null */
  readonly truncation?: TieredTruncation | null
}

/** Sums over the answers that count. */
class Answers {
  readonly ttft: number[] = []
  readonly queue: number[] = []
  readonly reused = perTier(() => 0)
  readonly missed: Record<keyof MissedPrompt, number> = { neverSeen: 0, reasoningDropped: 0, promptScored: 0, evicted: 0, damaged: 0, outsideView: 0, unknown: 0 }
  prompt = 0
  output = 0
  allTokens = 0
  prefillMs = 0
  blocks = 0
  hitBlocks = 0
  strandedBlocks = 0

  add(usage: TurnUsage, counts: boolean): void {
    this.allTokens += usage.promptTokens + usage.completionTokens
    if (!counts) return
    this.ttft.push(usage.ttftMs)
    this.queue.push(usage.queueMs)
    for (const tier of TIER_NAMES) this.reused[tier] += usage.reusedTokens[tier]
    for (const cause of Object.keys(this.missed) as Array<keyof MissedPrompt>) this.missed[cause] += usage.missedTokens[cause]
    this.prompt += usage.promptTokens
    this.output += usage.completionTokens
    this.prefillMs += usage.prefillMs
    this.blocks += Math.ceil(usage.promptTokens / BLOCK_TOKENS)
    this.hitBlocks += Math.floor(sumTiers(usage.reusedTokens) / BLOCK_TOKENS)
    this.strandedBlocks += usage.strandedBlocks
  }
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)

async function served(options: TieredOptions, setting: Pick<TieredSetting, 'policy' | 'noReuse'>, onAnswer: () => void) {
  const answers = new Answers()
  const { trace, profile, tierBytes, warmUp, truncation = null } = options
  const run = await replayTiers(trace, { ...setting, profile, tierBytes, truncation }, (index, usage) => {
    answers.add(usage, index >= warmUp)
    onAnswer()
  })
  return { answers, run }
}

/** @param onAnswer told once for each request. */
export async function runBaseline(options: TieredOptions, onAnswer: () => void): Promise<Baseline> {
  const { answers, run } = await served(options, { policy: 'lru', noReuse: true }, onAnswer)
  return machineFigures(options, answers, run, perSlotTier(tier => (tier === 'hbm' ? options.tierBytes.hbm : 0)))
}

export async function runTiered(options: TieredOptions, policy: PolicyName, baseline: Baseline, onAnswer: () => void): Promise<TieredResult> {
  const { answers, run } = await served(options, { policy, noReuse: false }, onAnswer)
  const { trace, profile, tierBytes, truncation = null } = options
  const { reused, missed, prompt } = answers
  const hits = sumTiers(reused)
  const { stats } = run
  return {
    policy,
    capacity: sumTiers(tierBytes),
    capacity_unit: 'bytes',
    tier_bytes: tierBytes,
    profile: profile.name,
    truncation: truncation && {
      context_window: truncation.contextWindow,
      truncation_ratio: truncation.truncationRatio,
      reuse_after_truncation: truncation.reuseAfterTruncation,
    },
    trace_format: trace.format,
    unique_blocks: trace.uniqueBlocks,
    requests: answers.ttft.length,
    warm_up_requests: Math.min(options.warmUp, trace.requests.length),
    refused_requests: run.refused,
    token_hit_rate: share(hits, prompt),
    block_hit_rate: share(answers.hitBlocks, answers.blocks),
    any_block_hit_rate: share(answers.hitBlocks + answers.strandedBlocks, answers.blocks),
    view_hit_rate: share(hits, prompt - missed.outsideView),
    hit_rate_by_tier: perTier(tier => share(reused[tier], prompt)),
    miss_rate_by_cause: {
      never_seen: share(missed.neverSeen, prompt),
      evicted: share(missed.evicted, prompt),
      damaged: share(missed.damaged, prompt),
      outside_view: share(missed.outsideView, prompt),
      unknown: share(missed.unknown, prompt),
    },
    prompt_tokens: prompt,
    hit_tokens: hits,
    output_tokens: answers.output,
    queue_ms: quantiles(Float64Array.from(answers.queue)),
    load_stall_s: stats.loadStallMs / 1000,
    ...machineFigures(options, answers, run, tierBytes),
    bytes: { loaded: stats.loadBytes, saved: stats.saveBytes, ssd_read: stats.readBytes, ssd_written: stats.writeBytes },
    ssd_drive_writes_per_day: tierBytes.ssd === 0 ? null : share(stats.writeBytes, tierBytes.ssd) * share(86_400_000, run.spanMs),
    without_reuse: baseline,
  }
}

function machineFigures({ profile }: TieredOptions, answers: Answers, run: TieredRun, tierBytes: TierSizes): Baseline {
  const { stats, spanMs } = run
  const busyMs = stats.computeMs + stats.loadStallMs
  return {
    ttft_ms: quantiles(Float64Array.from(answers.ttft)),
    prefill_tokens_per_s: share(answers.prompt * 1000, answers.prefillMs),
    accelerator_s: busyMs / 1000,
    span_s: spanMs / 1000,
    cost: costOf({ prices: profile.prices, busyMs, spanMs, tierBytes, tokens: answers.allTokens }),
  }
}
