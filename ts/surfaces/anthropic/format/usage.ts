// `usage` in Anthropic's words.

import { TIER_NAMES } from '../../../protocol/tiers.js'
import type { TurnUsage } from '../../../service/types.js'
import type { AnthropicUsage } from '../schemas/message.js'

/** Before the first token: all that is known is the prompt's length. */
export function usageAtStart(promptTokens: number): AnthropicUsage {
  return { input_tokens: promptTokens, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0, output_tokens_details: { thinking_tokens: 0 } }
}

/** @param isMarked the request had a cache marker: what it computed counts as written to the cache, else as plain input. */
export function usageBody(usage: TurnUsage, isMarked: boolean): AnthropicUsage {
  const read = TIER_NAMES.reduce((total, tier) => total + usage.reusedTokens[tier], 0)
  const created = isMarked ? usage.computedTokens : 0
  return {
    input_tokens: usage.promptTokens - read - created,
    cache_creation_input_tokens: created,
    cache_read_input_tokens: read,
    output_tokens: usage.completionTokens,
    output_tokens_details: { thinking_tokens: usage.reasoningTokens ?? 0 },
  }
}
