// Who of the waiting is next. Requests whose blocks are ready and that find room run; those whose blocks are still being
// fetched, and those too large for the room there is now, are overtaken, a bounded number of times.

import type { Clock } from '../../engine/clock.js'
import type { Prefetcher } from '../moves/prefetcher.js'
import type { WaitingQueue } from './queue.js'
import type { Sequence } from '../sequence/sequence.js'

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

  /**
   * The oldest that is ready or must not be overtaken any more, and for which `hasRoom`; if nothing runs (`isIdle`) and
   * none is ready, the oldest of all. Room is not asked for twice: a request no smaller than one without room has none.
   */
  next(isIdle: boolean, hasRoom: (sequence: Sequence) => boolean): Sequence | undefined {
    let smallest = Infinity
    for (const sequence of this.#queue) {
      const isDue = this.#isDue(sequence)
      const size = sequence.tokens.length
      if (size < smallest && (isDue || this.#prefetcher.isReady(sequence))) {
        if (hasRoom(sequence)) return sequence
        smallest = size
      }
      // Its turn has come: what becomes free is for it.
      if (isDue) return undefined
    }
    const oldest = isIdle && smallest === Infinity ? this.#queue.first() : undefined
    return oldest && hasRoom(oldest) ? oldest : undefined
  }

  /** Leaves the queue. The requests before it were overtaken. */
  admit(sequence: Sequence): void {
    for (const other of this.#queue) {
      if (other === sequence) break
      other.standing.overtake(this.#clock.now())
    }
    this.#queue.remove(sequence)
  }

  /** Waiting requests whose blocks are being fetched. */
  get preparing(): number {
    let count = 0
    for (const sequence of this.#queue) if (!this.#prefetcher.isReady(sequence)) count++
    return count
  }

  #isDue({ standing: { overtaken, overtakenAt } }: Sequence): boolean {
    return overtaken >= MOST_OVERTAKES || (overtaken > 0 && this.#clock.now() - overtakenAt >= MOST_OVERTAKEN_MS)
  }
}
