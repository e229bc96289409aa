// The requests that are present, and the rate at which others come meanwhile: steps are paced by it, and it says what computing
// a history costs the others. An arrival that finds no other request waits for no step. Only the time in which a request is
// present is looked at, so the rate is the same however much of the time that is. One client whose turns follow each other
// never finds another request: its rate is 0.

import type { Clock } from '../../engine/clock.js'
import type { Company } from './load-or-recompute.js'

/** Milliseconds after which arrivals and time have faded to 1/e. */
const MEMORY_MS = 5000
/** Faded arrivals count as none below this. */
const LEAST_ARRIVALS = 0.1
/** Milliseconds without an arrival that are added to the time that passed: one coincidence is no crowd. */
const DOUBT_MS = 1000

export class Traffic {
  readonly #clock: Clock
  readonly #present: () => number
  /** Arrivals that found others, and milliseconds in which a request was present; faded as of `#at`. */
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

  /** Arrivals a millisecond while a request is present; 0: none that matter. */
  get arrivalsPerMs(): number {
    this.#advance()
    return this.#count < LEAST_ARRIVALS ? 0 : this.#count / (this.#busyMs + DOUBT_MS)
  }

  /** The company of one of those present. */
  get besideOne(): Company {
    return { others: this.#present() - 1, arrivalsPerMs: this.arrivalsPerMs }
  }

  get #isBusy(): boolean {
    return this.#present() > 0
  }

  /** `wasBusy`: a request was present since the last time. */
  #advance(wasBusy = this.#isBusy): void {
    const now = this.#clock.now()
    const kept = Math.exp((this.#at - now) / MEMORY_MS)
    this.#count *= kept
    this.#busyMs = this.#busyMs * kept + (wasBusy ? MEMORY_MS * (1 - kept) : 0)
    this.#at = now
  }
}
