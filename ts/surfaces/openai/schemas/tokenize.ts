// As vLLM's /tokenize and /detokenize.

import { z } from 'zod'
import { ChatRequest, chatTemplate, endingFields } from './chat.js'
import { specialFields } from './completions.js'
import { tokenId } from './generation.js'
import { ChatMessage } from './messages.js'
import { toolFields } from './tools.js'

const model = z.string().min(1).max(512).nullish()

export const TokenizeTextRequest = z.object({
  model,
  prompt: z.string(),
  ...specialFields,
  return_token_strs: z.boolean().nullish(),
})

export const TokenizeChatRequest = z.object({
  model,
  messages: z.array(ChatMessage).min(1),
  ...toolFields,
  reasoning_effort: ChatRequest.shape.reasoning_effort,
  enable_thinking: ChatRequest.shape.enable_thinking,
  chat_template_kwargs: ChatRequest.shape.chat_template_kwargs,
  ...endingFields,
  chat_template: chatTemplate,
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
