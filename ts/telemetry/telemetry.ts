// Counters and samples of one server: to Prometheus when it scrapes, to listeners at the pace of their topic.

import { Counter, Gauge, Registry } from 'prom-client'
import { systemClock, type Clock } from '../engine/clock.js'
import type { DiskCondition } from '../protocol/disk.js'
import type { CacheMap, Sample, ServerInfo, Snapshot, WhatIf } from '../protocol/index.js'
import type { Turn } from '../service/types.js'
import { Feed } from './feed.js'
import { SampleHistory } from './history.js'
import { BandwidthLimits, type ConfiguredLimits } from './limits.js'
import { LoopDelayMeter } from './loop-delay.js'
import { registerMetrics } from './metrics.js'
import { RecordFeed } from './record-feed.js'
import { takeSample, type SampleSources } from './sample.js'
import { Today } from './today.js'
import { TurnTimes } from './turns.js'

const SAMPLE_INTERVAL_MS = 500
const HISTORY_INTERVAL_MS = 4000
const MAP_INTERVAL_MS = 1000
const WHAT_IF_INTERVAL_MS = 2000

/** How `ttftWithoutReuse` comes about, for those who read it. */
export const TTFT_ESTIMATE =
  'Estimated: the time of each turn, without its loads, plus the time that computing its reused tokens would take by the ' +
  'measured speed of prompt steps at that length. That the queue would be longer too is left out.'

export interface TelemetryOptions {
  /** @default the machine's */
  readonly clock?: Clock
  /** @default none */
  readonly limits?: ConfiguredLimits
}

export class Telemetry {
  readonly info: ServerInfo
  readonly records: RecordFeed
  readonly maps: Feed<CacheMap>
  readonly whatIfs: Feed<WhatIf>
  readonly #sources: SampleSources
  readonly #clock: Clock
  readonly #registry = new Registry()
  readonly #loopDelay = new LoopDelayMeter()
  readonly #turnTimes: TurnTimes
  readonly #limits: BandwidthLimits
  readonly #today: Today
  readonly #history = new SampleHistory()
  readonly #cutOff: Counter
  readonly #startedAt: number
  readonly #listeners = new Set<(sample: Sample) => void>()
  readonly #feeds: ReadonlyArray<{ close(): void }>
  /** All metrics of one scrape read the same sample. */
  #scraped: Sample

  constructor(info: ServerInfo, sources: SampleSources, { clock = systemClock, limits = { read: null, write: null } }: TelemetryOptions = {}) {
    this.info = info
    this.#sources = sources
    this.#clock = clock
    this.#startedAt = clock.now()
    this.#today = new Today(this.#startedAt)
    this.#limits = new BandwidthLimits(limits)
    this.#turnTimes = new TurnTimes(this.#registry, clock)
    this.#scraped = this.sample()
    registerMetrics(this.#registry, info, () => this.#scraped)
    this.#cutOff = new Counter({
      name: 'attentionstore_streams_cut_off_total',
      help: 'Streams closed because their client did not read',
      registers: [this.#registry],
    })
    const { service } = sources
    new Gauge({
      name: 'attentionstore_ready',
      help: 'The server takes new requests: 1; it drains, or its engine has ended: 0',
      registers: [this.#registry],
      collect() {
        this.set(service.ready ? 1 : 0)
      },
    })
    this.records = new RecordFeed(clock, service.records)
    this.maps = new Feed(clock, MAP_INTERVAL_MS, () => ({ uptimeMs: clock.now() - this.#startedAt, ...service.cacheMap() }))
    this.whatIfs = new Feed(clock, WHAT_IF_INTERVAL_MS, () => service.whatIf())
    const ticks = new Feed(clock, SAMPLE_INTERVAL_MS, () => this.#publish())
    const history = new Feed(clock, HISTORY_INTERVAL_MS, () => this.sample())
    // These run whether or not anybody looks.
    ticks.listen(() => {})
    history.listen(sample => this.#history.add(sample))
    this.#feeds = [ticks, history, this.records, this.maps, this.whatIfs]
  }

  sample(): Sample {
    const now = this.#clock.now()
    const own = {
      uptimeMs: now - this.#startedAt,
      eventLoopDelayMs: this.#loopDelay.read(),
      ttftMs: this.#turnTimes.recent.summary(),
      ttft: this.#turnTimes.lastMinute.summary(now),
    }
    const sample = takeSample(this.#sources, this.#limits, own)
    return { ...sample, today: this.#today.of(now, sample) }
  }

  /** The places that the server writes to. */
  disks(): readonly DiskCondition[] {
    return this.#sources.disks()
  }

  snapshot(): Snapshot {
    return { info: this.info, sample: this.sample(), history: this.#history.points }
  }

  /** Calls `listener` twice a second; the returned function ends that. */
  listen(listener: (sample: Sample) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** The same turn, its times observed. `startedAt`: when it was asked for, on the clock of `performance.now()`. */
  observed(turn: Turn, startedAt: number): Turn {
    return this.#turnTimes.observed(turn, startedAt)
  }

  streamCutOff(): void {
    this.#cutOff.inc()
  }

  async prometheus(): Promise<{ text: string; contentType: string }> {
    this.#scraped = this.sample()
    return { text: await this.#registry.metrics(), contentType: this.#registry.contentType }
  }

  close(): void {
    for (const feed of this.#feeds) feed.close()
    this.#listeners.clear()
    this.#loopDelay.close()
  }

  #publish(): void {
    if (this.#listeners.size > 0) {
      const sample = this.sample()
      for (const listener of this.#listeners) listener(sample)
    }
    this.#limits.observe(this.#sources.stats())
    this.#loopDelay.reset()
    this.#turnTimes.recent.clear()
  }
}
