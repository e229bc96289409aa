// A clock that advances by itself: whenever the event loop is idle, the next timer is due.

import type { Clock, TimerOptions } from '../clock.js'

interface Timer {
  readonly at: number
  /** Timers of the same moment run in the order they were set. */
  readonly order: number
  readonly action: () => void
  readonly isBackground: boolean
}

/**
 * Deterministic: timers run one at a time, each after everything that the one before caused. Background timers run when
 * their time has come, but the clock does not advance for their sake; `advance` does.
 */
export class VirtualClock implements Clock {
  #now: number
  #order = 0
  #timers: Timer[] = []
  #foreground = 0
  #isScheduled = false

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#now = startMs
  }

  now(): number {
    return this.#now
  }

  after(ms: number, action: () => void, options: TimerOptions = {}): () => void {
    const isBackground = options.background ?? false
    const timer: Timer = { at: this.#now + Math.max(0, ms), order: this.#order++, action, isBackground }
    this.#insert(timer)
    this.#schedule()
    return () => this.#remove(timer)
  }

  /** Lets `ms` milliseconds pass, background timers included. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    while (this.#timers[0] && this.#timers[0].at <= end) {
      this.#runFirst()
      await new Promise(resolve => setImmediate(resolve))
    }
    this.#now = Math.max(this.#now, end)
  }

  #insert(timer: Timer): void {
    let at = this.#timers.length
    while (at > 0 && (this.#timers[at - 1] as Timer).at > timer.at) at--
    this.#timers.splice(at, 0, timer)
    if (!timer.isBackground) this.#foreground++
  }

  #remove(timer: Timer): boolean {
    const at = this.#timers.indexOf(timer)
    if (at < 0) return false
    this.#timers.splice(at, 1)
    if (!timer.isBackground) this.#foreground--
    return true
  }

  #schedule(): void {
    if (this.#isScheduled || this.#foreground === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      if (this.#foreground > 0) this.#runFirst()
      this.#schedule()
    })
  }

  #runFirst(): void {
    const timer = this.#timers[0]
    if (!timer) return
    this.#remove(timer)
    this.#now = Math.max(this.#now, timer.at)
    timer.action()
  }
}
