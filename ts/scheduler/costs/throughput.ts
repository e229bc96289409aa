// How fast a stream of transfers is while it has work: the time in which something was under way over the transfers that
// ended in it. The time of a single transfer says less, since many wait for each other.

/** Weight of the newest figure. */
const NEWEST = 0.3
/** Transfers that make a figure. */
const WINDOW = 4

export class Throughput {
  #inFlight = 0
  #lastAt = 0
  #busyMs = 0
  #ended = 0
  #ms = 0
  /** The first transfer's share of its time among those beside it stands in until there is a figure. */
  #isGuess = true

  started(now: number): void {
    if (this.#inFlight === 0) this.#lastAt = now
    this.#inFlight++
  }

  ended(now: number): void {
    this.#busyMs += now - this.#lastAt
    this.#lastAt = now
    if (this.#ms === 0) this.#ms = this.#busyMs / this.#inFlight
    this.#inFlight--
    if (++this.#ended < WINDOW) return
    const ms = this.#busyMs / this.#ended
    this.#ms = this.#isGuess ? ms : this.#ms + NEWEST * (ms - this.#ms)
    this.#isGuess = false
    this.#busyMs = 0
    this.#ended = 0
  }

  /** Milliseconds a transfer; 0: none was seen. One that has been under way for longer is believed. */
  msEach(now: number): number {
    return this.#inFlight === 0 ? this.#ms : Math.max(this.#ms, now - this.#lastAt)
  }
}
