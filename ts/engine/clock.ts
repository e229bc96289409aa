// Time as a dependency: the server runs on the machine's clock, tests and the simulator on a virtual one.

export interface TimerOptions {
  /** Housekeeping that must neither keep a process alive nor make a virtual clock advance by itself. */
  readonly background?: boolean
}

export interface Clock {
  /** Milliseconds since the Unix epoch; may have a fraction. Never goes back. */
  now(): number
  /** Runs `action` once after `ms` milliseconds. The returned function cancels it. */
  after(ms: number, action: () => void, options?: TimerOptions): () => void
}

const epochMs = Date.now() - performance.now()

/** The machine's clock, monotonic within the process. */
export const systemClock: Clock = {
  now: () => epochMs + performance.now(),
  after(ms, action, options) {
    const timer = setTimeout(action, ms)
    if (options?.background) timer.unref()
    return () => clearTimeout(timer)
  },
}
