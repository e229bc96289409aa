// The last minutes of samples, thinned out, for a page that has just been opened.

import type { HistoryPoint, Sample } from '../protocol/events.js'

/** Ten minutes at a point every four seconds. */
const MOST_POINTS = 150

export class SampleHistory {
  readonly #points: HistoryPoint[] = []

  add({ uptimeMs, tokens, requests, ttft, transfers }: Sample): void {
    if (this.#points.length === MOST_POINTS) this.#points.shift()
    this.#points.push({ uptimeMs, tokens, requests, ttft, transfers })
  }

  /** Oldest first. */
  get points(): readonly HistoryPoint[] {
    return this.#points
  }
}
