// Times of the last sampling interval, few enough to keep each.

/** More in one interval are counted, but only these many decide the percentiles. */
const MAX_TIMES = 1024

export class RecentTimes {
  #times: number[] = []
  #count = 0

  add(ms: number): void {
    this.#count++
    if (this.#times.length < MAX_TIMES) this.#times.push(ms)
  }

  /** null: none since `clear`. */
  summary(): { count: number; p50: number; max: number } | null {
    if (this.#count === 0) return null
    const sorted = this.#times.toSorted((a, b) => a - b)
    return { count: this.#count, p50: sorted[Math.floor((sorted.length - 1) / 2)] ?? 0, max: sorted.at(-1) ?? 0 }
  }

  clear(): void {
    this.#times = []
    this.#count = 0
  }
}
