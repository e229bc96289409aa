import { z } from 'zod'
import { stopReason } from './chat.js'
import { generationFields, MAX_TOP_LOGPROBS, MOST_TOKENS, promptTokens } from './generation.js'
import { PromptLogprobs } from './prompt-logprobs.js'
import { Usage } from './usage.js'

/** Most prompts of one request. */
export const MAX_PROMPTS = 64

const text = z.string().min(1)

/** Special tokens of a prompt that is a text. */
export const specialFields = {
  add_special_tokens: z.boolean().nullish().meta({ description: 'whether a text begins as the tokenizer begins texts; default true' }),
  parse_special: z.boolean().nullish().meta({ description: 'true: names of special tokens in a text are these tokens' }),
}

export const CompletionRequest = z
  .object({
    ...generationFields,
    ...specialFields,
    prompt: z.union([
      text,
      promptTokens,
      z.array(text).min(1).max(MAX_PROMPTS),
      z.array(promptTokens).min(1).max(MAX_PROMPTS),
    ]),
    max_tokens: z.int().min(0).max(MOST_TOKENS).nullish().meta({ description: 'default 16; 0 with echo alone' }),
    logprobs: z.int().min(0).max(MAX_TOP_LOGPROBS).nullish(),
    echo: z.boolean().nullish().meta({ description: 'true: the prompt comes before the answer' }),
  })
  .meta({ id: 'CompletionRequest' })

export const CompletionLogprobs = z
  .object({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.number().nullable()),
    top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullable(),
    text_offset: z.array(z.int()),
  })
  .meta({ id: 'CompletionLogprobs' })

const finishReason = z.enum(['stop', 'length'])

const choice = z.object({
  index: z.int(),
  text: z.string(),
  logprobs: CompletionLogprobs.nullable(),
  finish_reason: finishReason,
  stop_reason: stopReason,
  prompt_logprobs: PromptLogprobs.optional(),
})

const head = { id: z.string(), object: z.literal('text_completion'), created: z.int(), model: z.string(), system_fingerprint: z.string() }

export const CompletionResponse = z
  .object({ ...head, choices: z.array(choice), usage: Usage })
  .meta({ id: 'Completion' })

export const CompletionChunk = z
  .object({
    ...head,
    choices: z.array(choice.extend({ finish_reason: finishReason.nullable(), stop_reason: stopReason.optional() })),
    usage: Usage.nullish(),
  })
  .meta({ id: 'CompletionChunk' })
