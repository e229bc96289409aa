import type { MissSample } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Segment } from '../../components/SegmentBar.vue'
import type { Live } from '../../connection/use-connection.js'
import { formatNumber, formatShare } from '../../format.js'
import { causesIn, type FoundCause } from '../../miss/causes.js'
import { MISS_WORDS, type MissReason, type MissWords } from '../../miss/words.js'
import { sum } from './use-savings.js'

export interface MissRow extends MissWords {
  readonly tokens: string
  readonly share: string
  readonly causes: readonly FoundCause[]
}

export interface Misses {
  readonly rows: ComputedRef<readonly MissRow[]>
  readonly segments: ComputedRef<readonly Segment[]>
  readonly summary: ComputedRef<string>
  /** Causes that cost time and no tokens. */
  readonly waits: ComputedRef<readonly FoundCause[]>
}

/** `never_seen` as the sample has it: `neverSeen`. */
function countOf(miss: MissSample, reason: MissReason): number {
  return miss[reason.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()) as keyof MissSample]
}

export function useMisses(live: Live): Misses {
  const counts = computed(() => {
    const miss = live.sample.value?.tokens.miss
    return MISS_WORDS.map((words) => ({ words, count: miss ? countOf(miss, words.reason) : 0 }))
  })
  const total = computed(() => sum(counts.value.map(({ count }) => count)))
  const causes = computed(() => causesIn({ sample: live.sample.value, record: null }))
  const toRow = ({ words, count }: { readonly words: MissWords; readonly count: number }): MissRow => ({
    ...words,
    tokens: formatNumber(count),
    share: formatShare(count, total.value),
    causes: causes.value.filter(({ reason }) => reason === words.reason),
  })
  return {
    // A reason that explains nothing takes no room; new text is always told, for it says that the rest is small.
    rows: computed(() => counts.value.filter(({ words, count }) => count > 0 || words.reason === 'never_seen').map(toRow)),
    waits: computed(() => causes.value.filter(({ reason }) => reason === null)),
    segments: computed(() => counts.value.map(({ words, count }) => ({ kind: words.reason, share: total.value > 0 ? count / total.value : 0 }))),
    summary: computed(() => counts.value.map(({ words, count }) => `${words.name} ${formatShare(count, total.value)}`).join(', ')),
  }
}
