// A value that is computed at an interval for its listeners, and not at all while there are none.

import type { Clock } from '../engine/clock.js'

export class Feed<T> {
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #compute: () => T
  readonly #listeners = new Set<(value: T) => void>()
  #cancel: (() => void) | null = null

  constructor(clock: Clock, intervalMs: number, compute: () => T) {
    this.#clock = clock
    this.#intervalMs = intervalMs
    this.#compute = compute
  }

  /** Calls `listener` after every interval; the returned function ends that. */
  listen(listener: (value: T) => void): () => void {
    this.#listeners.add(listener)
    if (this.#cancel === null) this.#schedule()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#stop()
    }
  }

  /** Calls `listener` at once, and then after every interval. */
  listenFromNow(listener: (value: T) => void): () => void {
    listener(this.#compute())
    return this.listen(listener)
  }

  close(): void {
    this.#listeners.clear()
    this.#stop()
  }

  #schedule(): void {
    this.#cancel = this.#clock.after(this.#intervalMs, () => this.#publish(), { background: true })
  }

  #publish(): void {
    this.#schedule()
    const value = this.#compute()
    for (const listener of this.#listeners) listener(value)
  }

  #stop(): void {
    this.#cancel?.()
    this.#cancel = null
  }
}
