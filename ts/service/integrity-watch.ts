// Checks the tables while nothing happens, a piece at a time: with hundreds of thousands of blocks a whole check takes
// seconds, and a request that comes meanwhile must not wait for it.

import type { Clock } from '../engine/clock.js'

export interface WatchedTables {
  /** Nothing waits, runs or moves. */
  readonly isIdle: () => boolean
  /** Another number whenever the tables may have changed. */
  readonly version: () => number
  /** Throws at the first equation that does not hold; stops after every piece. */
  readonly check: () => Iterable<void>
  /** Told of what `check` threw. */
  readonly broken: (thrown: unknown) => void
}

export class IntegrityWatch {
  readonly #clock: Clock
  readonly #tables: WatchedTables
  #cancel: (() => void) | null = null

  constructor(clock: Clock, tables: WatchedTables) {
    this.#clock = clock
    this.#tables = tables
  }

  /** Checks everything, unless something happens before the end, or a check is under way. */
  begin(): void {
    if (this.#cancel !== null || !this.#tables.isIdle()) return
    const pieces = this.#tables.check()[Symbol.iterator]()
    const version = this.#tables.version()
    this.#next(pieces, version)
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = null
  }

  #next(pieces: Iterator<void>, version: number): void {
    this.#cancel = null
    if (!this.#tables.isIdle() || this.#tables.version() !== version) return
    if (this.#isOver(pieces)) return
    this.#cancel = this.#clock.after(0, () => this.#next(pieces, version), { background: true })
  }

  #isOver(pieces: Iterator<void>): boolean {
    try {
      return pieces.next().done === true
    } catch (thrown) {
      this.#tables.broken(thrown)
      return true
    }
  }
}
