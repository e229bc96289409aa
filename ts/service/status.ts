// Snapshots for /admin/cache, /metrics and the dashboard.

import type { Block } from '../directory/block.js'
import { SLOT_TIERS, TIERS, type SlotTierName } from '../protocol/tiers.js'
import type { Core } from '../scheduler/core/core.js'
import type { Scheduler } from '../scheduler/loop/scheduler.js'
import type { CacheStatus, ServiceCounters, TierStatus } from './types.js'

/** Tokens of the prompt whose speed stands for prefill. */
const TYPICAL_PROMPT = 1024

export function cacheStatus(core: Core, scheduler: Scheduler): CacheStatus {
  const wanted = wantedBlocks(scheduler)
  return {
    tiers: SLOT_TIERS.map(tier => tierStatus(core, tier, wanted)),
    policy: core.options.policy,
    ioEngine: core.engine.info.ioEngine,
  }
}

/** Blocks that somebody refers to or waits for: far fewer than there are. */
function wantedBlocks(scheduler: Scheduler): ReadonlySet<Block> {
  const wanted = new Set<Block>()
  for (const { table } of scheduler.active) for (const [, { block }] of table) if (block) wanted.add(block)
  for (const sequence of scheduler.waiting) for (const block of sequence.wants.blocks) wanted.add(block)
  return wanted
}

function tierStatus(core: Core, tier: SlotTierName, wanted: ReadonlySet<Block>): TierStatus {
  const { directory, engine, counters } = core
  const pool = directory.pools[tier]
  const slotBytes = engine.info[TIERS[tier].blockBytes]
  let running = 0
  let waiting = 0
  for (const block of wanted) {
    if (!directory.inTier[tier].has(block)) continue
    if (block.refs > 0) running++
    else if (block.wants > 0) waiting++
  }
  const ownSlots = tier === 'hbm' ? directory.reserved.hbm.size : 0
  const total = directory.inTier[tier].size + ownSlots
  return {
    name: tier,
    medium: mediumOf(core, tier),
    capacityBytes: (pool.total - pool.retired) * slotBytes,
    committedBytes: pool.committed * slotBytes,
    usedBytes: (pool.used + pool.cooling) * slotBytes,
    capacityBlocks: pool.total - pool.retired,
    shortage: core.growth.shortageOf(tier),
    blocks: { total, running: running + ownSlots, waiting, resting: total - running - waiting - ownSlots },
    hitTokens: counters.reused[tier],
  }
}

function mediumOf(core: Core, tier: SlotTierName): string {
  const { medium } = TIERS[tier]
  if (medium !== 'device') return medium
  return core.engine.info.device.startsWith('cuda') ? 'gpu' : 'arena'
}

export function serviceCounters(core: Core, scheduler: Scheduler): ServiceCounters {
  const { counters } = core
  let preparing = 0
  for (const sequence of scheduler.active) if (sequence.state === 'preparing') preparing++
  const fetching = scheduler.admission.preparing
  const prefetches = scheduler.moves.prefetches.counts()
  return {
    requestsTotal: { ...counters.requests },
    queued: scheduler.waiting.length - fetching,
    preparing: preparing + fetching,
    running: scheduler.active.length - preparing,
    promptTokens: counters.promptTokens,
    completionTokens: counters.completionTokens,
    computedTokens: counters.computedTokens,
    recomputedTokens: counters.recomputedTokens,
    reusedTokens: { ...counters.reused },
    missedTokens: { ...counters.missed },
    savedMs: counters.savedMs,
    prefillTokensPerS: prefillSpeed(core),
    preemptions: counters.preemptions,
    sharedKeyRequests: counters.sharedKeyRequests,
    followed: { ...counters.followed },
    failedTransfers: counters.failedTransfers.list(),
    droppedBlocks: { ...counters.dropped },
    abandonedBlocks: { ...counters.abandoned },
    savedBlocks: counters.savedBlocks,
    loadedBlocks: counters.loadedBlocks,
    promotedBlocks: counters.promotedBlocks,
    writtenBlocks: counters.writtenBlocks,
    prefetchedBlocks: counters.prefetchedBlocks,
    bufferedBlocks: counters.bufferedBlocks,
    prefetchHits: prefetches.hits,
    wastedPrefetches: prefetches.wasted,
    ...(core.keyed ? { keyedBlocks: { ...counters.keyed } } : {}),
    historyChoices: { ...counters.history },
    scheduleMs: { p50: scheduler.stepCost.quantile(0.5), p99: scheduler.stepCost.quantile(0.99) },
  }
}

function prefillSpeed({ costs, options }: Core): number | null {
  const ms = costs.promptMs(TYPICAL_PROMPT, options.maxBatchTokens)
  return ms === null || ms === 0 ? null : (1000 * TYPICAL_PROMPT) / ms
}
