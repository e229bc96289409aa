import type { Sample } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Live } from '../connection/use-connection.js'
import { formatMs, formatNumber, formatShare } from '../format.js'

export interface Figure {
  readonly label: string
  readonly value: string
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

function toFigures(sample: Sample): readonly Figure[] {
  const { tokens, requests, blocks, steps } = sample
  const count = (label: string, value: number): Figure => ({ label, value: formatNumber(value) })
  return [
    { label: 'prompt tokens reused', value: formatShare(sum(Object.values(tokens.reused)), tokens.prompt) },
    count('prompt tokens', tokens.prompt),
    count('answer tokens', tokens.completion),
    count('answered', requests.ok),
    count('running', requests.running),
    count('queued', requests.queued + requests.preparing),
    count('cancelled', requests.cancelled),
    count('failed or refused', requests.failed + requests.rejected),
    count('preemptions', sample.preemptions),
    count('tokens recomputed after one', tokens.recomputed),
    { label: 'steps waited for loads', value: formatMs(steps.loadStallMs) },
    count('damaged reads', sample.damagedReads),
    ...Object.entries(blocks.dropped).map(([cause, dropped]) => count(`blocks dropped: ${cause}`, dropped)),
  ]
}

/** Totals since the server started. */
export function useFigures(live: Live): ComputedRef<readonly Figure[]> {
  return computed(() => (live.sample.value ? toFigures(live.sample.value) : []))
}
