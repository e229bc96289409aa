// Values by key, in the order in which they were used: what was used last is found first, and what was used longest ago
// is given up first. A page of them is read without sorting.

/** A value, and its place in the order: larger than that of everything used before. */
export interface Place<T> {
  readonly stamp: number
  readonly value: T
}

interface Entry<T> extends Place<T> {
  /** False: it was used again since, or is gone. */
  isLive: boolean
}

/** Dead entries that are let be, besides as many as there are live ones. */
const MOST_DEAD = 64

export class RecencyList<T> {
  /** Ascending by stamp, dead ones in between. */
  #entries: Array<Entry<T>> = []
  readonly #byKey = new Map<string, Entry<T>>()
  /** Nothing before it is live. */
  #first = 0
  #lastStamp = 0

  get size(): number {
    return this.#byKey.size
  }

  get(key: string): T | undefined {
    return this.#byKey.get(key)?.value
  }

  get oldest(): T | undefined {
    while (this.#entries[this.#first]?.isLive === false) this.#first++
    return this.#entries[this.#first]?.value
  }

  /** Adds the value, or counts use of it, at `time` in milliseconds: stamps follow the clock, so they survive a restart. */
  use(key: string, value: T, time: number): void {
    this.delete(key)
    this.#lastStamp = Math.max(this.#lastStamp + 1, Math.floor(time))
    const entry = { value, stamp: this.#lastStamp, isLive: true }
    this.#byKey.set(key, entry)
    this.#entries.push(entry)
    if (this.#entries.length > 2 * this.size + MOST_DEAD) this.#compact()
  }

  delete(key: string): boolean {
    const entry = this.#byKey.get(key)
    if (entry) entry.isLive = false
    return this.#byKey.delete(key)
  }

  /** Most recently used first, beginning below a stamp. */
  *below(stamp = Infinity): Iterable<Place<T>> {
    for (let i = this.#countBelow(stamp) - 1; i >= 0; i--) {
      const entry = this.#entries[i]
      if (entry?.isLive) yield entry
    }
  }

  /** Entries with smaller stamps, dead ones included: found by halving. */
  #countBelow(stamp: number): number {
    let from = 0
    let to = this.#entries.length
    while (from < to) {
      const middle = (from + to) >> 1
      if ((this.#entries[middle]?.stamp ?? Infinity) < stamp) from = middle + 1
      else to = middle
    }
    return from
  }

  #compact(): void {
    this.#entries = this.#entries.filter(({ isLive }) => isLive)
    this.#first = 0
  }
}
