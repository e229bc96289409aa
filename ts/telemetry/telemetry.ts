// Counters and samples of one server: to Prometheus when it scrapes, to listeners twice a second.

import { Counter, Registry } from 'prom-client'
import type { Sample, ServerInfo, Snapshot } from '../protocol/events.js'
import type { Turn } from '../scheduler/types.js'
import { LoopDelayMeter } from './loop-delay.js'
import { registerMetrics } from './metrics.js'
import { takeSample, type SampleSources } from './sample.js'
import { TurnTimes } from './turns.js'

const SAMPLE_INTERVAL_MS = 500

export type SampleListener = (sample: Sample) => void

export class Telemetry {
  readonly info: ServerInfo
  readonly #sources: SampleSources
  readonly #registry = new Registry()
  readonly #loopDelay = new LoopDelayMeter()
  readonly #turnTimes: TurnTimes
  readonly #cutOff: Counter
  readonly #startedAt = performance.now()
  readonly #listeners = new Set<SampleListener>()
  readonly #timer: NodeJS.Timeout
  /** All metrics of one scrape read the same sample. */
  #scraped: Sample

  constructor(info: ServerInfo, sources: SampleSources) {
    this.info = info
    this.#sources = sources
    this.#turnTimes = new TurnTimes(this.#registry)
    this.#scraped = this.sample()
    registerMetrics(this.#registry, info, () => this.#scraped)
    this.#cutOff = new Counter({
      name: 'attentionstore_streams_cut_off_total',
      help: 'Streams closed because their client did not read',
      registers: [this.#registry],
    })
    this.#timer = setInterval(() => this.#publish(), SAMPLE_INTERVAL_MS).unref()
  }

  sample(): Sample {
    const now = {
      uptimeMs: performance.now() - this.#startedAt,
      eventLoopDelayMs: this.#loopDelay.read(),
      ttftMs: this.#turnTimes.recent.summary(),
    }
    return takeSample(this.#sources, now)
  }

  snapshot(): Snapshot {
    return { info: this.info, sample: this.sample() }
  }

  /** Calls `listener` twice a second; the returned function ends that. */
  listen(listener: SampleListener): () => void {
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
    clearInterval(this.#timer)
    this.#loopDelay.close()
    this.#listeners.clear()
  }

  #publish(): void {
    if (this.#listeners.size > 0) {
      const sample = this.sample()
      for (const listener of this.#listeners) listener(sample)
    }
    this.#loopDelay.reset()
    this.#turnTimes.recent.clear()
  }
}
