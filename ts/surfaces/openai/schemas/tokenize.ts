// As vLLM's /tokenize and /detokenize.

import { z } from 'zod'
import { ChatRequest } from './chat.js'
import { tokenId } from './generation.js'
import { ChatMessage } from './messages.js'
import { toolFields } from './tools.js'

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
  ...toolFields,
  reasoning_effort: ChatRequest.shape.reasoning_effort,
  enable_thinking: ChatRequest.shape.enable_thinking,
  chat_template_kwargs: ChatRequest.shape.chat_template_kwargs,
  add_generation_prompt: z.boolean().nullish().meta({ description: 'whether the beginning of an answer follows; default true' }),
  continue_final_message: z.boolean().nullish().meta({ description: "true: the text ends with the last message's content; needs add_generation_prompt false" }),
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
