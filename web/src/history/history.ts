// Figures over time: gauges as they were, and rates from differences of counters over a sliding window.

import { perStream, STREAM_NAMES, TIER_NAMES, type HistoryPoint, type Sample } from 'attentionstore/protocol'
import { RingTable } from './ring.js'

/** Ten minutes at two samples a second. */
const CAPACITY = 1200
/** Requests come in bursts: a rate over less than this would only show that. */
const WINDOW_S = 8

/** Seconds of uptime; counters of tokens and bytes; then gauges, times in milliseconds. */
const COUNTERS = ['prompt', ...TIER_NAMES, 'computed', 'generated', ...STREAM_NAMES] as const
const GAUGES = ['queued', 'running', 'ttftP50', 'ttftP95', 'withoutReuseP50'] as const

export type CounterColumn = (typeof COUNTERS)[number]
export type GaugeColumn = (typeof GAUGES)[number]
type Column = 'at' | CounterColumn | GaugeColumn

/** One value a remembered time; null: none. */
export type Values = (number | null)[]

export class SampleHistory {
  private readonly ring = new RingTable<Column>(['at', ...COUNTERS, ...GAUGES], CAPACITY)
  private lastAt = -Infinity

  /** Begins anew with what the server remembers. */
  restore(points: readonly HistoryPoint[], sample: Sample): void {
    this.ring.clear()
    this.lastAt = -Infinity
    for (const point of points) this.push(point)
    this.push(sample)
  }

  /** A time before the last one means a restarted server: history begins anew. */
  push(point: HistoryPoint): void {
    const at = point.uptimeMs / 1000
    if (at === this.lastAt) return
    if (at < this.lastAt) this.ring.clear()
    this.lastAt = at
    const { tokens, requests, ttft, transfers } = point
    this.ring.push({
      at,
      prompt: tokens.prompt,
      ...tokens.reused,
      computed: tokens.computed,
      generated: tokens.completion,
      ...perStream((name) => transfers[name].bytes),
      queued: requests.queued + requests.preparing,
      running: requests.running,
      ttftP50: ttft?.p50 ?? NaN,
      ttftP95: ttft?.p95 ?? NaN,
      withoutReuseP50: ttft?.withoutReuse?.p50 ?? NaN,
    })
  }

  get length(): number {
    return this.ring.length
  }

  /** Seconds of uptime, ascending. */
  times(): number[] {
    return this.ring.read('at').map((at) => at ?? 0)
  }

  gauge(column: GaugeColumn): Values {
    return this.ring.read(column)
  }

  /** Growth of a counter, a second. */
  rates(column: CounterColumn): Values {
    const times = this.times()
    return this.growth(column, times).map((grown, index) => {
      const seconds = (times[index] ?? 0) - (times[windowStart(times, index)] ?? 0)
      return grown === null || seconds <= 0 ? null : grown / seconds
    })
  }

  /** Growth of one counter per growth of another, 0 to 1 where it is a part of it; null while the other stands still. */
  shares(part: CounterColumn, whole: CounterColumn): Values {
    const times = this.times()
    const wholes = this.growth(whole, times)
    return this.growth(part, times).map((grown, index) => {
      const all = wholes[index] ?? 0
      return grown === null || all <= 0 ? null : grown / all
    })
  }

  /** The growth of a counter in the window that ends at each time; null at the first. */
  private growth(column: CounterColumn, times: readonly number[]): Values {
    const values = this.ring.read(column)
    return values.map((value, index) => {
      const before = values[windowStart(times, index)] ?? null
      return index === 0 || value === null || before === null ? null : value - before
    })
  }
}

/** Index of the last time that is a whole window before that at `index`, or of the first there is. */
function windowStart(times: readonly number[], index: number): number {
  const from = (times[index] ?? 0) - WINDOW_S
  let low = 0
  let high = index
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((times[middle] ?? 0) <= from) low = middle
    else high = middle - 1
  }
  return low
}
