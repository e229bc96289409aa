// Which of the waiting requests is next. Requests whose blocks are ready and that find room run; those whose blocks are still
// being fetched, and those too large for the room there is now, are overtaken, a bounded number of times. Those that follow
// another request stand aside as long as they do.

import type { Clock } from '../../engine/clock.js'
import type { Moves } from '../moves/moves.js'
import type { Followers } from './followers.js'
import type { WaitingQueue } from './queue.js'
import type { Sequence } from '../sequence/sequence.js'
import type { WaitCause } from '../sequence/waited.js'

/** A request that was overtaken this often, or so long ago for the first time, is next, ready or not. */
export const MOST_OVERTAKES = 16
export const MOST_OVERTAKEN_MS = 10_000

/** How far the blocks of a waiting request are. */
type Preparation = Pick<Moves, 'isReady'> & Partial<Pick<Moves, 'isHeld'>>

export class Admission {
  readonly #queue: WaitingQueue
  readonly #moves: Preparation
  readonly #followers: Pick<Followers, 'follows' | 'forget'>
  readonly #clock: Clock

  constructor(queue: WaitingQueue, moves: Preparation, followers: Pick<Followers, 'follows' | 'forget'>, clock: Clock) {
    this.#queue = queue
    this.#moves = moves
    this.#followers = followers
    this.#clock = clock
  }

  /**
   * The oldest that is ready or must not be overtaken any more, and for which `hasRoom`; if nothing runs (`isIdle`) and
   * none is ready, the oldest of all that are not held. Room is not asked for twice: a request no smaller than one without room has none.
   */
  next(isIdle: boolean, hasRoom: (sequence: Sequence) => boolean): Sequence | undefined {
    let smallest = Infinity
    let unheld: Sequence | undefined
    for (const sequence of this.#queue) {
      if (this.#followers.follows(sequence)) {
        this.#waits(sequence, 'another')
        continue
      }
      const isDue = this.#isDue(sequence)
      if (!isDue && this.#isHeld(sequence)) {
        this.#waits(sequence, 'history')
        continue
      }
      unheld ??= sequence
      const size = sequence.tokens.length
      const isReady = isDue || this.#isReady(sequence)
      if (isReady && size < smallest) {
        if (hasRoom(sequence)) return sequence
        smallest = size
      }
      this.#waits(sequence, isReady ? 'room' : 'history')
      // Its turn has come: what becomes free is for it.
      if (isDue) return undefined
    }
    // Nothing runs, so none follows.
    const oldest = isIdle && smallest === Infinity ? unheld : undefined
    return oldest && hasRoom(oldest) ? oldest : undefined
  }

  #waits(sequence: Sequence, cause: WaitCause): void {
    sequence.waited.for(cause, this.#clock.now())
  }

  /** Leaves the queue. The requests before it were overtaken. */
  admit(sequence: Sequence): void {
    for (const other of this.#queue) {
      if (other === sequence) break
      if (!this.#followers.follows(other)) other.standing.overtake(this.#clock.now())
    }
    this.#followers.forget(sequence)
    this.#queue.remove(sequence)
  }

  /** Waiting requests whose blocks are being fetched. */
  get preparing(): number {
    let count = 0
    for (const sequence of this.#queue) if (!this.#isReady(sequence)) count++
    return count
  }

  #isReady(sequence: Sequence): boolean {
    return !this.#isHeld(sequence) && this.#moves.isReady(sequence)
  }

  #isHeld(sequence: Sequence): boolean {
    return this.#moves.isHeld?.(sequence) ?? false
  }

  #isDue({ standing: { overtaken, overtakenAt } }: Sequence): boolean {
    return overtaken >= MOST_OVERTAKES || (overtaken > 0 && this.#clock.now() - overtakenAt >= MOST_OVERTAKEN_MS)
  }
}
