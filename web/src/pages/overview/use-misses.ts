import type { MissSample } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Segment } from '../../components/SegmentBar.vue'
import type { Live } from '../../connection/use-connection.js'
import { formatNumber, formatShare } from '../../format.js'
import { MISS_WORDS, type MissReason, type MissWords } from '../../miss/words.js'
import { sum } from './use-savings.js'

export interface MissRow extends MissWords {
  readonly tokens: string
  readonly share: string
}

export interface Misses {
  readonly rows: ComputedRef<readonly MissRow[]>
  readonly segments: ComputedRef<readonly Segment[]>
  readonly summary: ComputedRef<string>
}

function countOf(miss: MissSample, reason: MissReason): number {
  const { neverSeen, reasoningDropped, promptScored, evicted, damaged, outsideView, unknown } = miss
  return { never_seen: neverSeen, reasoning_dropped: reasoningDropped, prompt_scored: promptScored, evicted, damaged, outside_view: outsideView, unknown }[reason]
}

export function useMisses(live: Live): Misses {
  const counts = computed(() => {
    const miss = live.sample.value?.tokens.miss
    return MISS_WORDS.map((words) => ({ words, count: miss ? countOf(miss, words.reason) : 0 }))
  })
  const total = computed(() => sum(counts.value.map(({ count }) => count)))
  return {
    rows: computed(() =>
      counts.value.map(({ words, count }) => ({ ...words, tokens: formatNumber(count), share: formatShare(count, total.value) })),
    ),
    segments: computed(() => counts.value.map(({ words, count }) => ({ kind: words.reason, share: total.value > 0 ? count / total.value : 0 }))),
    summary: computed(() => counts.value.map(({ words, count }) => `${words.name} ${formatShare(count, total.value)}`).join(', ')),
  }
}
