import type { Sample } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Live } from '../../connection/use-connection.js'
import { formatBytes, formatMs, formatNumber } from '../../format.js'

export interface Total {
  readonly label: string
  readonly value: string
}

export interface Totals {
  /** Work done. */
  readonly work: readonly Total[]
  /** Losses, waits and work done again: better little of it. */
  readonly trouble: readonly Total[]
}

/** Blocks that left their last tier, by cause. */
const TROUBLES: Readonly<Record<string, string>> = {
  evicted: 'Blocks lost: no room',
  write_queue_full: 'Blocks lost: disk too slow',
  damaged: 'Blocks lost: damaged',
}
const WISHES: Readonly<Record<string, string>> = {
  reset: 'Blocks dropped by a reset',
  erased: 'Blocks erased on request',
  ttl: 'Blocks dropped by --session-ttl',
  foreign: 'Blocks dropped: written for another model',
}

const count = (label: string, value: number): Total => ({ label, value: formatNumber(value) })

function lost(dropped: Sample['blocks']['dropped'], words: Readonly<Record<string, string>>): Total[] {
  return Object.entries(words).map(([cause, label]) => count(label, dropped[cause] ?? 0))
}

export function toTotals(sample: Sample): Totals {
  const { tokens, requests, blocks, steps, preemptions, damagedReads, dramDamaged, failedTransfers, residentBytes } = sample
  const { transfers, prefetches, history, disks } = sample
  return {
    work: [
      count('Requests answered', requests.ok),
      count('Histories read from ssd whole', history.load),
      count('Histories computed: faster than reading', history.recompute),
      count('Histories read in part, rest computed', history.split),
      count('Blocks read from ssd ahead of their turn', prefetches.fetched),
      { label: 'Written to ssd', value: formatBytes(transfers.write.bytes) },
      { label: 'Memory of the process', value: formatBytes(residentBytes) },
      ...lost(blocks.dropped, WISHES),
    ],
    trouble: [
      count('Requests failed', requests.failed),
      count('Requests refused', requests.rejected),
      count('Requests cancelled', requests.cancelled),
      count('Requests preempted', preemptions),
      count('Tokens computed twice', tokens.recomputed),
      { label: 'Steps waited for loads', value: formatMs(steps.loadStallMs) },
      count('Blocks read ahead in vain', prefetches.wasted),
      count('Reads of damaged blocks', damagedReads),
      count('Copies in dram that were damaged', dramDamaged),
      count('Transfers that failed', failedTransfers.reduce((sum, failed) => sum + failed.count, 0)),
      count('Lines of logs dropped', disks.reduce((sum, { lostLines = 0 }) => sum + lostLines, 0)),
      ...lost(blocks.dropped, TROUBLES),
    ],
  }
}

export function useTotals(live: Live): ComputedRef<Totals | null> {
  return computed(() => (live.sample.value ? toTotals(live.sample.value) : null))
}
