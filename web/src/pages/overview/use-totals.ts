import type { Sample } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Live } from '../../connection/use-connection.js'
import { formatBytes, formatMs, formatNumber } from '../../format.js'

export interface Total {
  readonly label: string
  readonly value: string
}

const CAUSES: Readonly<Record<string, string>> = {
  evicted: 'Blocks evicted for others',
  write_queue_full: 'Blocks dropped, disk too slow',
  damaged: 'Blocks damaged',
  reset: 'Blocks reset by hand',
  ttl: 'Blocks too old',
  foreign: 'Blocks of another model',
}

export function toTotals({ tokens, requests, blocks, steps, preemptions, damagedReads, residentBytes, transfers, prefetches, history }: Sample): readonly Total[] {
  const count = (label: string, value: number): Total => ({ label, value: formatNumber(value) })
  return [
    count('Requests answered', requests.ok),
    count('Cancelled', requests.cancelled),
    count('Failed', requests.failed),
    count('Refused', requests.rejected),
    count('Preempted', preemptions),
    count('Tokens recomputed after that', tokens.recomputed),
    { label: 'Written to SSD', value: formatBytes(transfers.write.bytes) },
    count('Histories loaded', history.load),
    count('Histories computed, being sooner', history.recompute),
    count('Histories loaded in part', history.split),
    count('Blocks fetched ahead', prefetches.fetched),
    count('Fetched ahead in vain', prefetches.wasted),
    { label: 'Steps waited for loads', value: formatMs(steps.loadStallMs) },
    count('Damaged reads', damagedReads),
    ...Object.entries(blocks.dropped).map(([cause, dropped]) => count(CAUSES[cause] ?? `Blocks dropped: ${cause}`, dropped)),
    { label: 'Memory of the process', value: formatBytes(residentBytes) },
  ]
}

export function useTotals(live: Live): ComputedRef<readonly Total[]> {
  return computed(() => (live.sample.value ? toTotals(live.sample.value) : []))
}
