// How long the event loop keeps work waiting: the one thing that must stay small for everything to stay fast.

import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'

interface LoopDelay {
  readonly p50: number
  readonly p99: number
}

const RESOLUTION_MS = 10
const NS_PER_MS = 1e6

/** Delay beyond the timer's own resolution, in milliseconds. */
export class LoopDelayMeter {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })

  constructor() {
    this.#histogram.enable()
  }

  read(): LoopDelay {
    return { p50: this.#percentile(50), p99: this.#percentile(99) }
  }

  /** Starts counting anew. */
  reset(): void {
    this.#histogram.reset()
  }

  close(): void {
    this.#histogram.disable()
  }

  #percentile(percentile: number): number {
    if (this.#histogram.count === 0) return 0
    return Math.max(0, this.#histogram.percentile(percentile) / NS_PER_MS - RESOLUTION_MS)
  }
}
