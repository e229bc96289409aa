// The form that an answer is held to, in the words of OpenAI, vLLM and llama.cpp. Bounds are those of ../../constraints.ts.

import { z } from 'zod'
import { MAX_CHOICES, toolName } from '../../limits.js'

/** Of any depth: it is bounded where it becomes a constraint. */
const schema = z.unknown().optional().meta({ description: 'JSON Schema', type: 'object' })
const schemaOrText = z.unknown().optional().meta({ description: 'JSON Schema, or its text', type: ['object', 'string'] })
const text = z.string().nullish()
const choices = z.array(z.string()).max(MAX_CHOICES).nullish()

const ResponseFormat = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object'), schema }),
  z.object({
    type: z.literal('json_schema'),
    json_schema: z.object({
      name: toolName.nullish(),
      schema,
      strict: z.boolean().nullish().meta({ description: 'the answer follows the schema in any case' }),
    }),
  }),
])

const StructuredOutputs = z.object({
  json: schemaOrText,
  regex: text,
  choice: choices,
  grammar: text,
  json_object: z.boolean().nullish(),
})

export const structureFields = {
  response_format: ResponseFormat.nullish(),
  structured_outputs: StructuredOutputs.nullish().meta({ description: 'one of json, regex, choice, grammar and json_object' }),
  guided_json: schemaOrText,
  guided_regex: text,
  guided_choice: choices,
  guided_grammar: text,
  grammar: text.meta({ description: 'in GBNF or Lark' }),
  json_schema: schema,
}
