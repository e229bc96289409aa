// Who else is about, and how often somebody comes meanwhile: what steps are paced by, and what computing a history costs the
// others. Arrivals that find nobody wait for no step; and since only the time in which somebody is about is looked at, a rate
// comes out that is the same however much of the time that is. One client whose turns follow each other never finds anybody:
// its rate is 0.

import type { Clock } from '../../engine/clock.js'
import type { Company } from './load-or-recompute.js'

/** Arrivals and time count for so many milliseconds, fading. */
const MEMORY_MS = 5000
/** What is left of faded arrivals counts as none below this. */
const LEAST_ARRIVALS = 0.1
/** As if nobody had arrived in so much more time: one coincidence is no crowd. */
const DOUBT_MS = 1000

export class Traffic {
  readonly #clock: Clock
  readonly #present: () => number
  /** Arrivals that found others, and milliseconds in which somebody was about; faded as of `#at`. */
  #count = 0
  #busyMs = 0
  #at = 0

  /** `present`: how many requests wait, are prepared or run. */
  constructor(clock: Clock, present: () => number) {
    this.#clock = clock
    this.#present = present
  }

  /** A request arrives; it is not among those present yet. */
  arrives(): void {
    this.#advance()
    if (this.#isBusy) this.#count++
  }

  /** A request has ended; it is not among those present any more. */
  ended(): void {
    this.#advance(true)
  }

  /** Arrivals a millisecond while somebody is about; 0: none that matter. */
  get arrivalsPerMs(): number {
    this.#advance()
    return this.#count < LEAST_ARRIVALS ? 0 : this.#count / (this.#busyMs + DOUBT_MS)
  }

  /** What one of those present has beside itself. */
  get besideOne(): Company {
    return { others: this.#present() - 1, arrivalsPerMs: this.arrivalsPerMs }
  }

  get #isBusy(): boolean {
    return this.#present() > 0
  }

  /** `wasBusy`: somebody was about since the last time. */
  #advance(wasBusy = this.#isBusy): void {
    const now = this.#clock.now()
    const kept = Math.exp((this.#at - now) / MEMORY_MS)
    this.#count *= kept
    this.#busyMs = this.#busyMs * kept + (wasBusy ? MEMORY_MS * (1 - kept) : 0)
    this.#at = now
  }
}
