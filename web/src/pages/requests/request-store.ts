// The last thousand requests, newest first, outside Vue's reactivity.

import type { RequestRecord } from 'attentionstore/protocol'

/** As many as the server remembers. */
export const MAX_REQUESTS = 1000

export class RequestStore {
  private readonly bySeq = new Map<number, RequestRecord>()
  private sorted: readonly RequestRecord[] | null = null

  get size(): number {
    return this.bySeq.size
  }

  /** A record that comes again replaces the one before; beyond the bound the oldest go. */
  take(records: readonly RequestRecord[]): void {
    for (const record of records) this.bySeq.set(record.seq, record)
    this.sorted = null
    if (this.bySeq.size <= MAX_REQUESTS) return
    const oldestKept = this.list()[MAX_REQUESTS - 1]?.seq ?? 0
    for (const seq of this.bySeq.keys()) if (seq < oldestKept) this.bySeq.delete(seq)
    this.sorted = null
  }

  clear(): void {
    this.bySeq.clear()
    this.sorted = null
  }

  list(): readonly RequestRecord[] {
    this.sorted ??= [...this.bySeq.values()].toSorted((a, b) => b.seq - a.seq)
    return this.sorted
  }
}
