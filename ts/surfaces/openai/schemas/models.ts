import { z } from 'zod'

export const ModelParams = z.object({ id: z.array(z.string()).min(1) })

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
  })
  .meta({ id: 'Model' })

export const ModelList = z.object({ object: z.literal('list'), data: z.array(Model) }).meta({ id: 'ModelList' })
