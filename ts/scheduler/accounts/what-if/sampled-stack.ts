// How long ago a block was used, counted in blocks that were used since: its place in the stack of an LRU cache, which is
// the capacity at which it would still have been there (Mattson 1970). Only a sample of the blocks is followed, chosen by
// a hash of their keys, and distances are scaled up (SHARDS: Waldspurger et al., FAST 2015). The sample is bounded: when
// it is full, half of it is let go, and from then on half as many are chosen.

import { keyWord } from '../../../directory/key-filter.js'
import type { BlockKey } from '../../../engine/types.js'

const HASH_RANGE = 2 ** 32
/** Which bits of a key decide. */
const HASH_WORD = 7
/** Times that are given out before they are numbered anew, for each block that may be followed. */
const TIMES_A_BLOCK = 4

export class SampledStack {
  readonly #capacity: number
  /** Blocks with a smaller hash are followed. */
  #threshold = HASH_RANGE
  /** By key: the time of its last use. */
  #lastUse = new Map<BlockKey, number>()
  /** Fenwick tree over times: how many blocks were last used then. */
  readonly #counts: Int32Array
  #now = 0

  /** Follows at most `capacity` blocks. */
  constructor(capacity: number) {
    this.#capacity = capacity
    this.#counts = new Int32Array(TIMES_A_BLOCK * capacity + 1)
  }

  /** Share of all blocks that are followed. */
  get rate(): number {
    return this.#threshold / HASH_RANGE
  }

  /** Blocks that are followed now. */
  get size(): number {
    return this.#lastUse.size
  }

  isFollowed(key: BlockKey): boolean {
    return keyWord(key, HASH_WORD) < this.#threshold
  }

  /** Estimated number of blocks used since the last use of `key`; Infinity: not used that anybody remembers. */
  distance(key: BlockKey): number {
    const time = this.#lastUse.get(key)
    return time === undefined ? Infinity : (this.size - this.#usedUntil(time)) / this.rate
  }

  /** The block is used now. Of blocks used together, the one that shall stay longest is used last. */
  use(key: BlockKey): void {
    if (!this.isFollowed(key)) return
    this.remove(key)
    if (this.#now + 1 === this.#counts.length) this.#renumber()
    this.#add(++this.#now, 1)
    this.#lastUse.set(key, this.#now)
    while (this.size > this.#capacity) this.#halve()
  }

  /** The block is no longer one of its own. */
  remove(key: BlockKey): void {
    const time = this.#lastUse.get(key)
    if (time === undefined) return
    this.#add(time, -1)
    this.#lastUse.delete(key)
  }

  #halve(): void {
    this.#threshold /= 2
    for (const key of [...this.#lastUse.keys()]) if (!this.isFollowed(key)) this.remove(key)
  }

  /** The same order in the smallest times. */
  #renumber(): void {
    const keys = [...this.#lastUse].toSorted(([, a], [, b]) => a - b)
    this.#counts.fill(0)
    this.#now = 0
    this.#lastUse = new Map()
    for (const [key] of keys) {
      this.#add(++this.#now, 1)
      this.#lastUse.set(key, this.#now)
    }
  }

  #usedUntil(time: number): number {
    let sum = 0
    for (let at = time; at > 0; at -= at & -at) sum += this.#counts[at] ?? 0
    return sum
  }

  #add(time: number, count: number): void {
    for (let at = time; at < this.#counts.length; at += at & -at) this.#counts[at] = (this.#counts[at] ?? 0) + count
  }
}
