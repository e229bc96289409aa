// Rates over time, from the counters of consecutive samples.

import type { Sample, TierName } from 'attentionstore/protocol'
import { RingTable } from './ring.js'

/** Ten minutes at two samples a second. */
const CAPACITY = 1200

/** Token rates are tokens a second; times to first token are milliseconds; `at` is seconds of server uptime. */
export const HISTORY_COLUMNS = [
  'at',
  'hbm',
  'dram',
  'ssd',
  'computed',
  'generated',
  'queued',
  'running',
  'ttftP50',
  'ttftMax',
] as const

export type HistoryColumn = (typeof HISTORY_COLUMNS)[number]

export class SampleHistory {
  private readonly ring = new RingTable<HistoryColumn>(HISTORY_COLUMNS, CAPACITY)
  private last: Sample | null = null

  /** Adds what happened since the sample before. Counters that went back mean a restarted server: history begins anew. */
  push(sample: Sample): void {
    const last = this.last
    this.last = sample
    if (last && sample.uptimeMs < last.uptimeMs) this.ring.clear()
    const seconds = last ? (sample.uptimeMs - last.uptimeMs) / 1000 : 0
    if (!last || seconds <= 0) return
    const rate = (now: number, before: number) => (now - before) / seconds
    const reused = (tier: TierName) => rate(sample.tokens.reused[tier], last.tokens.reused[tier])
    this.ring.push({
      at: sample.uptimeMs / 1000,
      hbm: reused('hbm'),
      dram: reused('dram'),
      ssd: reused('ssd'),
      computed: rate(sample.tokens.computed, last.tokens.computed),
      generated: rate(sample.tokens.completion, last.tokens.completion),
      queued: sample.requests.queued + sample.requests.preparing,
      running: sample.requests.running,
      ttftP50: sample.ttftMs?.p50 ?? NaN,
      ttftMax: sample.ttftMs?.max ?? NaN,
    })
  }

  read(column: HistoryColumn): (number | null)[] {
    return this.ring.read(column)
  }

  /** The newest value that is there, or null. */
  latest(column: HistoryColumn): number | null {
    return this.ring.read(column).findLast((value) => value !== null) ?? null
  }
}
