// When something ran: a bounded number of intervals.

import { MOST_SPANS } from '../../protocol/schemas/requests.js'

export type Interval = [from: number, to: number]

export class Spans {
  /** Ascending, disjoint. */
  readonly #intervals: Interval[] = []

  get isEmpty(): boolean {
    return this.#intervals.length === 0
  }

  /** Joins what overlaps or touches. Beyond the bound, the two intervals with the smallest gap become one. */
  add(from: number, to: number): void {
    if (!(to > from)) return
    let first = this.#intervals.length
    while (first > 0 && (this.#intervals[first - 1] as Interval)[1] >= from) first--
    let last = first
    const joined: Interval = [from, to]
    for (let other = this.#intervals[last]; other && other[0] <= to; other = this.#intervals[++last]) {
      joined[0] = Math.min(joined[0], other[0])
      joined[1] = Math.max(joined[1], other[1])
    }
    this.#intervals.splice(first, last - first, joined)
    if (this.#intervals.length > MOST_SPANS) this.#joinClosest()
  }

  /** Milliseconds after `start`; what lies before it is cut off. */
  since(start: number): Interval[] {
    return this.#intervals.flatMap(([from, to]): Interval[] => (to > start ? [[Math.max(0, from - start), to - start]] : []))
  }

  #joinClosest(): void {
    let closest = 1
    for (let i = 2; i < this.#intervals.length; i++) if (this.#gapBefore(i) < this.#gapBefore(closest)) closest = i
    const [, to] = this.#intervals[closest] as Interval
    ;(this.#intervals[closest - 1] as Interval)[1] = to
    this.#intervals.splice(closest, 1)
  }

  #gapBefore(i: number): number {
    return (this.#intervals[i] as Interval)[0] - (this.#intervals[i - 1] as Interval)[1]
  }
}
