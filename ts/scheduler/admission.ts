// Who of the waiting is next. Requests whose blocks are ready run; those whose blocks are still being fetched wait beside
// them and are overtaken, a bounded number of times.

import type { Clock } from '../engine/clock.js'
import type { Prefetcher } from './prefetcher.js'
import type { WaitingQueue } from './queue.js'
import type { Sequence } from './sequence.js'

/** A request that was overtaken this often, or so long ago for the first time, is next, ready or not. */
export const MOST_OVERTAKES = 16
export const MOST_OVERTAKEN_MS = 10_000

export class Admission {
  readonly #queue: WaitingQueue
  readonly #prefetcher: Pick<Prefetcher, 'isReady'>
  readonly #clock: Clock

  constructor(queue: WaitingQueue, prefetcher: Pick<Prefetcher, 'isReady'>, clock: Clock) {
    this.#queue = queue
    this.#prefetcher = prefetcher
    this.#clock = clock
  }

  /** The oldest that is ready or must not be overtaken any more; if nothing runs (`isIdle`), else the oldest of all. */
  next(isIdle: boolean): Sequence | undefined {
    for (const sequence of this.#queue) if (this.#isDue(sequence) || this.#prefetcher.isReady(sequence)) return sequence
    return isIdle ? this.#queue.first() : undefined
  }

  /** Leaves the queue. Whoever stood before it was overtaken. */
  admit(sequence: Sequence): void {
    for (const other of this.#queue) {
      if (other === sequence) break
      if (other.overtaken++ === 0) other.overtakenAt = this.#clock.now()
    }
    this.#queue.remove(sequence)
  }

  /** Waiting requests whose blocks are being fetched. */
  get preparing(): number {
    let count = 0
    for (const sequence of this.#queue) if (!this.#prefetcher.isReady(sequence)) count++
    return count
  }

  #isDue({ overtaken, overtakenAt }: Sequence): boolean {
    return overtaken >= MOST_OVERTAKES || (overtaken > 0 && this.#clock.now() - overtakenAt >= MOST_OVERTAKEN_MS)
  }
}
