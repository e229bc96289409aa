// As vLLM's /tokenize and /detokenize.

import { z } from 'zod'
import { ChatMessage } from './messages.js'
import { tokenId } from './generation.js'

const model = z.string().min(1).max(512).nullish()

export const TokenizeTextRequest = z.object({
  model,
  prompt: z.string(),
  add_special_tokens: z.boolean().nullish().meta({ description: 'default true' }),
  return_token_strs: z.boolean().nullish(),
})

export const TokenizeChatRequest = z.object({
  model,
  messages: z.array(ChatMessage).min(1),
  return_token_strs: z.boolean().nullish(),
})

export const TokenizeRequest = z.union([TokenizeTextRequest, TokenizeChatRequest]).meta({ id: 'TokenizeRequest' })

export const TokenizeResponse = z
  .object({
    count: z.int(),
    max_model_len: z.int(),
    tokens: z.array(z.int()),
    token_strs: z.array(z.string()).nullable(),
  })
  .meta({ id: 'TokenizeResponse' })

export const DetokenizeRequest = z.object({ model, tokens: z.array(tokenId) }).meta({ id: 'DetokenizeRequest' })

export const DetokenizeResponse = z.object({ prompt: z.string() }).meta({ id: 'DetokenizeResponse' })
