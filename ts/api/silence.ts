// Signs of life: written after silence, never between what is written anyway.

import type { Clock } from '../engine/clock.js'

export class Silence {
  readonly #clock: Clock
  readonly #ms: number
  readonly #onSilence: () => void
  #lastWrite: number
  #cancel: () => void

  /** Calls `onSilence` each time that nothing was written for `ms` milliseconds. */
  constructor(clock: Clock, ms: number, onSilence: () => void) {
    this.#clock = clock
    this.#ms = ms
    this.#onSilence = onSilence
    this.#lastWrite = clock.now()
    this.#cancel = this.#wait(ms)
  }

  /** Something was written. */
  broken(): void {
    this.#lastWrite = this.#clock.now()
  }

  end(): void {
    this.#cancel()
  }

  /** A write only notes its time; the timer that comes too early waits for the rest. */
  #wait(ms: number): () => void {
    return this.#clock.after(ms, () => this.#due(), { background: true })
  }

  #due(): void {
    const left = this.#lastWrite + this.#ms - this.#clock.now()
    if (left <= 0) {
      this.#lastWrite = this.#clock.now()
      this.#onSilence()
    }
    this.#cancel = this.#wait(left <= 0 ? this.#ms : left)
  }
}
