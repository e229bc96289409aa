// Times to first token of the last minute, and what they would have been without reuse.

import type { TtftSample } from '../protocol/events.js'

const WINDOW_MS = 60_000
const MOST_TURNS = 1024

interface Turn {
  readonly at: number
  readonly ttftMs: number
  readonly withoutReuseMs: number | null
}

export class TtftWindow {
  /** Oldest first. */
  readonly #turns: Turn[] = []

  add(at: number, ttftMs: number, withoutReuseMs: number | null): void {
    if (this.#turns.length === MOST_TURNS) this.#turns.shift()
    this.#turns.push({ at, ttftMs, withoutReuseMs })
  }

  /** null: no turn ended in the minute before `now`. */
  summary(now: number): TtftSample | null {
    while ((this.#turns[0]?.at ?? now) < now - WINDOW_MS) this.#turns.shift()
    if (this.#turns.length === 0) return null
    const estimates = this.#turns.flatMap(({ withoutReuseMs }) => (withoutReuseMs === null ? [] : [withoutReuseMs]))
    const withoutReuse = estimates.length === 0 ? null : quantiles(estimates)
    return { count: this.#turns.length, ...quantiles(this.#turns.map(({ ttftMs }) => ttftMs)), withoutReuse }
  }
}

/** Nearest rank. */
function quantiles(values: readonly number[]): { p50: number; p95: number } {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0
  return { p50: at(0.5), p95: at(0.95) }
}
