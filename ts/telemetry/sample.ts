// One sample of everything that changes, as the sockets send it.

import type { EngineStats } from '../engine/types.js'
import type { DiskCondition } from '../protocol/disk.js'
import type { Sample, TierSample, TransferSample } from '../protocol/events.js'
import { perStream, type StreamName } from '../protocol/lanes.js'
import { sumTiers } from '../protocol/tiers.js'
import type { InferenceService, TierStatus } from '../service/types.js'
import { transferred, type BandwidthLimits } from './limits.js'

export interface SampleSources {
  readonly service: Pick<InferenceService, 'cacheStatus' | 'counters' | 'cacheMap' | 'whatIf' | 'records' | 'ready'>
  readonly stats: () => EngineStats
  readonly disks: () => readonly DiskCondition[]
}

/** The measurements of the telemetry itself. */
export type OwnMeasures = Pick<Sample, 'uptimeMs' | 'eventLoopDelayMs' | 'ttftMs' | 'ttft'>

/** All but the day's sums, which are made of it. */
export function takeSample({ service, stats, disks }: SampleSources, limits: BandwidthLimits, own: OwnMeasures): Omit<Sample, 'today'> {
  const counters = service.counters()
  const engine = stats()
  const { queued, preparing, running } = counters
  return {
    ...own,
    tiers: service.cacheStatus().tiers.map(tierSample),
    requests: { ...counters.requestsTotal, queued, preparing, running },
    tokens: {
      prompt: counters.promptTokens,
      completion: counters.completionTokens,
      computed: counters.computedTokens,
      recomputed: counters.recomputedTokens,
      reused: counters.reusedTokens,
      miss: counters.missedTokens,
    },
    saved: { tokens: sumTiers(counters.reusedTokens), ms: counters.savedMs },
    prefillTokensPerS: counters.prefillTokensPerS,
    blocks: {
      saved: counters.savedBlocks,
      loaded: counters.loadedBlocks,
      promoted: counters.promotedBlocks,
      demoted: counters.writtenBlocks,
      dropped: counters.droppedBlocks,
      abandoned: counters.abandonedBlocks,
    },
    prefetches: {
      fetched: counters.prefetchedBlocks,
      buffered: counters.bufferedBlocks,
      used: counters.prefetchHits,
      wasted: counters.wastedPrefetches,
    },
    history: counters.historyChoices,
    preemptions: counters.preemptions,
    sharedKeyRequests: counters.sharedKeyRequests,
    followed: counters.followed,
    constraints: {
      sources: { compiled: engine.grammarsCompiled, cached: engine.grammarsCached, refused: engine.grammarsRefused },
      masks: engine.masks,
      maskMs: engine.maskMs,
      lateRows: engine.lateRows,
    },
    steps: {
      count: engine.steps,
      computeMs: engine.computeMs,
      loadStallMs: engine.loadStallMs,
      stalledLayers: engine.stalledLayers,
      scheduleMs: counters.scheduleMs,
    },
    transfers: transferSamples(engine, limits),
    damagedReads: engine.damagedReads,
    dramChecked: engine.dramChecked,
    dramDamaged: engine.dramDamaged,
    failedTransfers: counters.failedTransfers,
    disks: disks(),
    residentBytes: process.memoryUsage.rss(),
  }
}

/** The samples tell resting blocks as `cached`. */
function tierSample({ blocks, ...tier }: TierStatus): TierSample {
  const { resting, ...wanted } = blocks
  return { ...tier, blocks: { ...wanted, cached: resting } }
}

function transferSamples(engine: EngineStats, limits: BandwidthLimits): Record<StreamName, TransferSample> {
  return perStream(kind => ({
    ...transferred(engine, kind),
    queueDepth: engine[`${kind}QueueDepth`],
    limit: limits.of(kind),
  }))
}
