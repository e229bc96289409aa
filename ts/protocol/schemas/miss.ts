import { z } from 'zod'

const count = z.int().nonnegative()

/** Why prompt tokens were not reused. `outside_view` equals the usage's outside_view_tokens, the rest its computed_tokens. */
export const MissReasons = z
  .object({
    never_seen: count.meta({ description: 'new here, or another tenant’s; the token that the answer is sampled from' }),
    reasoning_dropped: count.meta({ description: 'an earlier answer without the reasoning that it was generated behind: the client or the template left it out' }),
    prompt_scored: count.meta({ description: 'the request asks for log probabilities of its prompt: every token of it was computed' }),
    evicted: count.meta({ description: 'were here and were given up, or dropped on request' }),
    damaged: count.meta({ description: 'were here and did not read back as written' }),
    outside_view: count.meta({ description: 'not needed: no token that is computed sees them' }),
    unknown: count.meta({ description: 'were here, and left longer ago than is remembered' }),
  })
  .meta({ id: 'MissReasons' })
