// Work that is repeated as often as it may be: it takes at most a quarter of the time.

const REST = 3

export interface Pace {
  now(): void
  /** At once, or as soon as the last time has been rested from. */
  soon(): void
  stop(): void
}

/** The time and its alarms: a test has others. */
export interface PaceClock {
  /** Milliseconds. */
  now(): number
  /** @returns ends the waiting. */
  after(ms: number, then: () => void): () => void
}

const WALL: PaceClock = {
  now: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, ms)
    return () => clearTimeout(timer)
  },
}

export function takenShare(work: () => void, clock: PaceClock = WALL): Pace {
  let endWait: (() => void) | null = null
  let nextAtMs = 0
  const stop = () => {
    endWait?.()
    endWait = null
  }
  const now = () => {
    stop()
    const from = clock.now()
    work()
    const to = clock.now()
    nextAtMs = to + REST * (to - from)
  }
  return {
    now,
    stop,
    soon() {
      if (endWait !== null) return
      const waitMs = nextAtMs - clock.now()
      if (waitMs <= 0) now()
      else endWait = clock.after(waitMs, now)
    },
  }
}
