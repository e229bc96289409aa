import { z } from 'zod'
import { generationFields, MAX_TOP_LOGPROBS, maxTokens } from './generation.js'
import { Usage } from './usage.js'

const textPart = z.object({ type: z.literal('text'), text: z.string() })
const content = z.union([z.string(), z.array(textPart).min(1)])

const name = z.string().min(1).max(64).nullish()

export const ChatMessage = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer', 'user']), content, name }),
  z.object({ role: z.literal('assistant'), content: content.nullish(), name }),
])

export const ChatRequest = z
  .object({
    ...generationFields,
    messages: z.array(ChatMessage).min(1),
    max_tokens: maxTokens.nullish(),
    max_completion_tokens: maxTokens.nullish().meta({ description: 'wins over max_tokens' }),
    logprobs: z.boolean().nullish(),
    top_logprobs: z.int().min(0).max(MAX_TOP_LOGPROBS).nullish(),
  })
  .meta({ id: 'ChatCompletionRequest' })

const tokenChoice = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()).nullable() })

export const ChatLogprobs = z
  .object({
    content: z.array(tokenChoice.extend({ top_logprobs: z.array(tokenChoice) })),
    refusal: z.null(),
  })
  .meta({ id: 'ChatLogprobs' })

export const finishReason = z.enum(['stop', 'length'])
export const stopReason = z
  .union([z.string(), z.int()])
  .nullable()
  .meta({ description: 'the stop string or stop token that ended the answer' })

export const ChatResponse = z
  .object({
    id: z.string(),
    object: z.literal('chat.completion'),
    created: z.int(),
    model: z.string(),
    choices: z.array(
      z.object({
        index: z.int(),
        message: z.object({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
        logprobs: ChatLogprobs.nullable(),
        finish_reason: finishReason,
        stop_reason: stopReason,
      }),
    ),
    usage: Usage,
  })
  .meta({ id: 'ChatCompletion' })

export const ChatChunk = z
  .object({
    id: z.string(),
    object: z.literal('chat.completion.chunk'),
    created: z.int(),
    model: z.string(),
    choices: z.array(
      z.object({
        index: z.int(),
        delta: z.object({ role: z.literal('assistant').optional(), content: z.string().optional() }),
        logprobs: ChatLogprobs.nullable(),
        finish_reason: finishReason.nullable(),
        stop_reason: stopReason.optional(),
      }),
    ),
    usage: Usage.nullish(),
  })
  .meta({ id: 'ChatCompletionChunk' })
