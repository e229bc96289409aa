// `usage` of a response.

import type { Usage } from '../../../protocol/index.js'
import { perTier, sumTiers } from '../../../protocol/tiers.js'
import type { TurnUsage } from '../../../service/types.js'

/**
 * Sums the usage of a request's turns; times are those of the slowest, the conversation is the first's. Of `choices` answers
 * to one prompt, which follow each other, the prompt counts once, as it was served for the first of them.
 */
export function usageBody(usages: readonly TurnUsage[], choices = 1): Usage {
  const total = (list: readonly TurnUsage[], of: (usage: TurnUsage) => number) => list.reduce((all, usage) => all + of(usage), 0)
  const prompts = usages.filter((_, index) => index % choices === 0)
  const sum = (of: (usage: TurnUsage) => number) => total(prompts, of)
  const slowest = (of: (usage: TurnUsage) => number) => Math.max(0, ...usages.map(of))
  const reused = perTier((tier) => sum(({ reusedTokens }) => reusedTokens[tier]))
  const promptTokens = sum(({ promptTokens }) => promptTokens)
  const completionTokens = total(usages, ({ completionTokens }) => completionTokens)
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: sumTiers(reused) },
    completion_tokens_details: { reasoning_tokens: total(usages, ({ reasoningTokens }) => reasoningTokens ?? 0) },
    attentionstore: {
      conversation: usages[0]?.conversation ?? '',
      reused_tokens: reused,
      computed_tokens: sum(({ computedTokens }) => computedTokens),
      recomputed_tokens: total(usages, ({ recomputedTokens }) => recomputedTokens),
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
