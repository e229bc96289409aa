// A record's prompt by source, for bars and words.

import { TIER_NAMES, type RequestRecord, type TierName } from 'attentionstore/protocol'
import { formatNumber } from '../../format.js'

export interface SourcePart {
  readonly kind: TierName | 'computed' | 'outside_view'
  readonly name: string
  readonly tokens: number
  readonly share: number
}

const KINDS = [...TIER_NAMES, 'computed', 'outside_view'] as const

type Counted = Pick<RequestRecord, 'prompt_tokens' | 'reused_tokens' | 'computed_tokens' | 'outside_view_tokens'>

export function sourceParts(record: Counted): readonly SourcePart[] {
  const { prompt_tokens: prompt, reused_tokens, computed_tokens: computed, outside_view_tokens: outside_view } = record
  const counts = { ...reused_tokens, computed, outside_view }
  return KINDS.map((kind) => ({ kind, name: kind === 'outside_view' ? 'outside the window' : kind, tokens: counts[kind], share: prompt > 0 ? counts[kind] / prompt : 0 }))
}

export function sourceSummary(record: Counted): string {
  const parts = sourceParts(record).filter(({ tokens }) => tokens > 0)
  const words = parts.map(({ name, tokens }) => `${formatNumber(tokens)} ${name}`).join(', ')
  return `${formatNumber(record.prompt_tokens)} prompt tokens${words ? `: ${words}` : ''}`
}
