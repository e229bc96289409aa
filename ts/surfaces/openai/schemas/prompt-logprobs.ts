import { z } from 'zod'

const tokenLogprob = z.object({
  logprob: z.number(),
  rank: z.int().min(1).meta({ description: '1 + the number of likelier tokens' }),
  decoded_token: z.string(),
})

/** Of each token of the prompt, by token id: the token itself and the likeliest ones. */
export const PromptLogprobs = z.array(z.record(z.string(), tokenLogprob).nullable()).meta({ id: 'PromptLogprobs', description: 'null for the first token' })
