// News that come faster than a screen draws: told at most once a frame.

export interface FrameTeller {
  /** Something is new. */
  mark(): void
  /** Tells now what was not told yet, and no more after. */
  close(): void
}

export function onceAFrame(tell: () => void): FrameTeller {
  let frame: number | null = null
  const now = () => {
    frame = null
    tell()
  }
  return {
    mark() {
      frame ??= requestAnimationFrame(now)
    },
    close() {
      if (frame === null) return
      cancelAnimationFrame(frame)
      now()
    },
  }
}
