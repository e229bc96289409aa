// `usage` of a response.

import type { Usage } from '../../../protocol/index.js'
import { perTier, sumTiers } from '../../../protocol/tiers.js'
import type { TurnUsage } from '../../../service/types.js'

/** Sums the usage of a request's turns; times are those of the slowest, the conversation is the first's. */
export function usageBody(usages: readonly TurnUsage[]): Usage {
  const sum = (of: (usage: TurnUsage) => number) => usages.reduce((total, usage) => total + of(usage), 0)
  const slowest = (of: (usage: TurnUsage) => number) => Math.max(0, ...usages.map(of))
  const reused = perTier((tier) => sum(({ reusedTokens }) => reusedTokens[tier]))
  const promptTokens = sum(({ promptTokens }) => promptTokens)
  const completionTokens = sum(({ completionTokens }) => completionTokens)
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: sumTiers(reused) },
    completion_tokens_details: { reasoning_tokens: sum(({ reasoningTokens }) => reasoningTokens ?? 0) },
    attentionstore: {
      conversation: usages[0]?.conversation ?? '',
      reused_tokens: reused,
      computed_tokens: sum(({ computedTokens }) => computedTokens),
      recomputed_tokens: sum(({ recomputedTokens }) => recomputedTokens),
      outside_view_tokens: sum(({ outsideViewTokens }) => outsideViewTokens),
      miss: {
        never_seen: sum(({ missedTokens }) => missedTokens.neverSeen),
        reasoning_dropped: sum(({ missedTokens }) => missedTokens.reasoningDropped),
        prompt_scored: sum(({ missedTokens }) => missedTokens.promptScored),
        evicted: sum(({ missedTokens }) => missedTokens.evicted),
        damaged: sum(({ missedTokens }) => missedTokens.damaged),
        outside_view: sum(({ missedTokens }) => missedTokens.outsideView),
        unknown: sum(({ missedTokens }) => missedTokens.unknown),
      },
      queue_ms: slowest(({ queueMs }) => queueMs),
      load_ms: slowest(({ loadMs }) => loadMs),
      prefill_ms: slowest(({ prefillMs }) => prefillMs),
      ttft_ms: slowest(({ ttftMs }) => ttftMs),
    },
  }
}
