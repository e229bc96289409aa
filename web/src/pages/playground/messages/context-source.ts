// Where the context of an answer came from, out of its usage.

import { perTier, sumTiers, TIER_NAMES, type TierName, type Usage } from 'attentionstore/protocol'

export interface ContextPart {
  readonly kind: TierName | 'computed' | 'empty'
  readonly label: string
  readonly tokens: number
  /** Of the whole prompt, 0 to 1. */
  readonly share: number
}

const LABELS: Readonly<Record<ContextPart['kind'], string>> = {
  ...perTier((tier) => `from ${tier}`),
  computed: 'computed',
  empty: 'outside the window',
}

/**
 * Estimated: what computing the reused tokens would have taken at the measured speed of prefill, less what loading them took.
 * null: no speed was measured yet, or nothing was reused.
 */
export function savedMs({ attentionstore }: Usage, prefillTokensPerS: number | null): number | null {
  const { reused_tokens: reused, load_ms: loadMs } = attentionstore
  const tokens = sumTiers(reused)
  if (prefillTokensPerS === null || prefillTokensPerS <= 0 || tokens === 0) return null
  return Math.max(0, (1000 * tokens) / prefillTokensPerS - loadMs)
}

/** The parts that hold tokens, fastest tier first. */
export function contextParts({ prompt_tokens: prompt, attentionstore }: Usage): readonly ContextPart[] {
  const { reused_tokens: reused, computed_tokens: computed, outside_view_tokens: outside } = attentionstore
  const counts = { ...reused, computed, empty: outside }
  const kinds = [...TIER_NAMES, 'computed', 'empty'] as const
  return kinds
    .map((kind) => ({ kind, label: LABELS[kind], tokens: counts[kind], share: prompt > 0 ? counts[kind] / prompt : 0 }))
    .filter(({ tokens }) => tokens > 0)
}
