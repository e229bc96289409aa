// How fast a stream of transfers is while it has work: bytes over the time in which something was under way. The time of
// a single transfer says less, since many wait for each other.

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

  started(now: number): void {
    if (this.#inFlight === 0) this.#lastAt = now
    this.#inFlight++
  }

  ended(now: number): void {
    this.#busyMs += now - this.#lastAt
    this.#lastAt = now
    this.#inFlight--
    if (++this.#ended < WINDOW) return
    const ms = this.#busyMs / this.#ended
    this.#ms = this.#ms === 0 ? ms : this.#ms + NEWEST * (ms - this.#ms)
    this.#busyMs = 0
    this.#ended = 0
  }

  /** Milliseconds a transfer; 0: too few were seen. One that has been under way for longer is believed. */
  msEach(now: number): number {
    return this.#ms === 0 || this.#inFlight === 0 ? this.#ms : Math.max(this.#ms, now - this.#lastAt)
  }
}
