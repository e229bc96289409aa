// One sample of everything that changes, as the sockets send it.

import type { EngineStats } from '../engine/types.js'
import type { Sample, TransferSample } from '../protocol/events.js'
import type { InferenceService } from '../scheduler/types.js'

export interface SampleSources {
  readonly service: Pick<InferenceService, 'cacheStatus' | 'counters'>
  readonly stats: () => EngineStats
}

/** What the telemetry itself measured. */
export type OwnMeasures = Pick<Sample, 'uptimeMs' | 'eventLoopDelayMs' | 'ttftMs'>

export function takeSample({ service, stats }: SampleSources, own: OwnMeasures): Sample {
  const counters = service.counters()
  const engine = stats()
  const { queued, preparing, running } = counters
  return {
    ...own,
    tiers: service.cacheStatus().tiers,
    requests: { ...counters.requestsTotal, queued, preparing, running },
    tokens: {
      prompt: counters.promptTokens,
      completion: counters.completionTokens,
      computed: counters.computedTokens,
      recomputed: counters.recomputedTokens,
      reused: counters.reusedTokens,
    },
    blocks: {
      saved: counters.savedBlocks,
      loaded: counters.loadedBlocks,
      promoted: counters.promotedBlocks,
      demoted: counters.demotedBlocks,
      dropped: counters.droppedBlocks,
    },
    preemptions: counters.preemptions,
    steps: {
      count: engine.steps,
      computeMs: engine.computeMs,
      loadStallMs: engine.loadStallMs,
      stalledLayers: engine.stalledLayers,
      scheduleMs: counters.scheduleMs,
    },
    transfers: transferSamples(engine),
    damagedReads: engine.damagedReads,
    residentBytes: process.memoryUsage.rss(),
  }
}

function transferSamples(engine: EngineStats): Record<'load' | 'save' | 'read' | 'write', TransferSample> {
  return {
    load: { bytes: engine.loadBytes, ms: engine.loadMs, queueDepth: engine.loadQueueDepth },
    save: { bytes: engine.saveBytes, ms: engine.saveMs, queueDepth: engine.saveQueueDepth },
    read: { bytes: engine.readBytes, ms: engine.readMs, queueDepth: engine.readQueueDepth },
    write: { bytes: engine.writeBytes, ms: engine.writeMs, queueDepth: engine.writeQueueDepth },
  }
}
