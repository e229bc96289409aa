import { z } from 'zod'
import { GENERATION_SOURCES } from '../../../protocol/generation-defaults.js'

export const ModelParams = z.object({ id: z.array(z.string()).min(1) })

const sourced = (value: z.ZodNumber) => z.object({ value, source: z.enum(GENERATION_SOURCES) })

const sampling = {
  temperature: sourced(z.number()),
  top_p: sourced(z.number()),
  top_k: sourced(z.int()),
  min_p: sourced(z.number()),
  repetition_penalty: sourced(z.number()),
  presence_penalty: sourced(z.number()),
  frequency_penalty: sourced(z.number()),
}

export const Model = z
  .object({
    id: z.string(),
    object: z.literal('model'),
    created: z.int(),
    owned_by: z.string(),
    max_model_len: z.int().positive(),
    default_sampling: z
      .object({
        temperature: z.number(),
        top_p: z.number(),
        top_k: z.int().meta({ description: '0: off' }),
        min_p: z.number(),
        repetition_penalty: z.number(),
        presence_penalty: z.number(),
        frequency_penalty: z.number(),
      })
      .meta({ description: 'of requests that leave these fields out' }),
    generation_defaults: z
      .object({
        api: z.object(sampling).meta({ description: 'of requests that leave these fields out' }),
        chat: z.object({ ...sampling, max_tokens: sourced(z.int().positive()) }).meta({ description: 'what `chat` and the playground send' }),
      })
      .meta({ description: 'each value with its source: model, its files or publisher; server, the set for chats; openai' }),
  })
  .meta({ id: 'Model' })

export const ModelList = z.object({ object: z.literal('list'), data: z.array(Model) }).meta({ id: 'ModelList' })
