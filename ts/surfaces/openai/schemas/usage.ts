import { z } from 'zod'
import { perTier } from '../../../protocol/tiers.js'
import { MissReasons } from '../../../protocol/schemas/miss.js'

const count = z.int().nonnegative()
const milliseconds = z.number().nonnegative()

/** `prompt_tokens = Σ reused_tokens + computed_tokens + outside_view_tokens`, `Σ miss` = the latter two. */
export const Usage = z
  .object({
    prompt_tokens: count,
    completion_tokens: count,
    total_tokens: count,
    prompt_tokens_details: z.object({ cached_tokens: count }),
    completion_tokens_details: z.object({ reasoning_tokens: count }),
    attentionstore: z.object({
      conversation: z.string(),
      reused_tokens: z
        .object(perTier(() => count))
        .meta({ description: 'by the fastest tier in which the block lay when the request was queued' }),
      computed_tokens: count,
      recomputed_tokens: count.meta({ description: 'computed again after a preemption' }),
      outside_view_tokens: count,
      miss: MissReasons.meta({ description: 'why prompt tokens were not reused; Σ miss = computed_tokens + outside_view_tokens' }),
      queue_ms: milliseconds,
      load_ms: milliseconds,
      prefill_ms: milliseconds,
      ttft_ms: milliseconds,
    }),
  })
  .meta({ id: 'Usage' })
