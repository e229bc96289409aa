// The response: its items, itself, and the events of its stream.

import { z } from 'zod'

const count = z.int().nonnegative()
const status = z.enum(['in_progress', 'completed', 'incomplete'])
const jsonValue = z.unknown()

const tokenChoice = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) })
export const OutputLogprob = tokenChoice.extend({ top_logprobs: z.array(tokenChoice) })

export const OutputText = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(jsonValue).max(0),
  logprobs: z.array(OutputLogprob),
})

export const ReasoningText = z.object({ type: z.literal('reasoning_text'), text: z.string() })

const item = { id: z.string(), status }
const call = { ...item, call_id: z.string(), name: z.string() }

export const OutputItem = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('message'), ...item, role: z.literal('assistant'), content: z.array(OutputText) }),
    z.object({
      type: z.literal('reasoning'),
      ...item,
      summary: z.array(jsonValue).max(0),
      content: z.array(ReasoningText),
      encrypted_content: z.string().nullish().meta({ description: 'where include asks for it' }),
    }),
    z.object({ type: z.literal('function_call'), ...call, arguments: z.string() }),
    z.object({ type: z.literal('custom_tool_call'), ...call, input: z.string() }),
  ])
  .meta({ id: 'ResponseOutputItem' })

export const ResponseUsage = z
  .object({
    input_tokens: count,
    input_tokens_details: z.object({ cached_tokens: count }),
    output_tokens: count,
    output_tokens_details: z.object({ reasoning_tokens: count }),
    total_tokens: count,
  })
  .meta({ id: 'ResponseUsage' })

export const ResponseBody = z
  .object({
    id: z.string(),
    object: z.literal('response'),
    created_at: z.int(),
    completed_at: z.int().nullable(),
    status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    incomplete_details: z.object({ reason: z.literal('max_output_tokens') }).nullable(),
    model: z.string(),
    instructions: z.string().nullable(),
    previous_response_id: z.string().nullable(),
    output: z.array(OutputItem),
    tools: z.array(jsonValue),
    tool_choice: jsonValue,
    parallel_tool_calls: z.boolean(),
    text: z.object({ format: jsonValue, verbosity: z.string().nullish() }),
    reasoning: z.object({ effort: z.string().nullable(), summary: z.string().nullable() }),
    max_output_tokens: z.int().nullable(),
    max_tool_calls: z.int().nullable(),
    temperature: z.number(),
    top_p: z.number(),
    top_logprobs: z.int(),
    presence_penalty: z.number(),
    frequency_penalty: z.number(),
    truncation: z.enum(['auto', 'disabled']),
    store: z.boolean(),
    background: z.literal(false),
    service_tier: z.literal('default'),
    metadata: z.record(z.string(), z.string()),
    user: z.string().nullable(),
    safety_identifier: z.string().nullable(),
    prompt_cache_key: z.string().nullable(),
    prompt_cache_retention: z.string().nullable(),
    usage: ResponseUsage.nullable(),
  })
  .meta({ id: 'Response' })

const sequence_number = count
const ofItem = { sequence_number, output_index: count }
const ofPart = { ...ofItem, item_id: z.string(), content_index: count }
const part = z.discriminatedUnion('type', [OutputText, ReasoningText])

const LIFE = ['response.created', 'response.in_progress', 'response.completed', 'response.incomplete', 'response.failed'] as const
const PARTS = ['response.content_part.added', 'response.content_part.done'] as const

export const ResponseEvent = z
  .discriminatedUnion('type', [
    z.object({ type: z.enum(LIFE), sequence_number, response: ResponseBody }),
    z.object({ type: z.enum(['response.output_item.added', 'response.output_item.done']), ...ofItem, item: OutputItem }),
    z.object({ type: z.enum(PARTS), ...ofPart, part }),
    z.object({ type: z.literal('response.output_text.delta'), ...ofPart, delta: z.string(), logprobs: z.array(OutputLogprob) }),
    z.object({ type: z.literal('response.output_text.done'), ...ofPart, text: z.string(), logprobs: z.array(OutputLogprob) }),
    z.object({ type: z.literal('response.reasoning_text.delta'), ...ofPart, delta: z.string() }),
    z.object({ type: z.literal('response.reasoning_text.done'), ...ofPart, text: z.string() }),
    z.object({ type: z.literal('response.function_call_arguments.delta'), ...ofItem, item_id: z.string(), delta: z.string() }),
    z.object({ type: z.literal('response.function_call_arguments.done'), ...ofItem, item_id: z.string(), name: z.string(), arguments: z.string() }),
    z.object({ type: z.literal('response.custom_tool_call_input.delta'), ...ofItem, item_id: z.string(), delta: z.string() }),
    z.object({ type: z.literal('response.custom_tool_call_input.done'), ...ofItem, item_id: z.string(), input: z.string() }),
  ])
  .meta({ id: 'ResponseStreamEvent' })

export const InputTokens = z.object({ object: z.literal('response.input_tokens'), input_tokens: z.int() }).meta({ id: 'ResponseInputTokens' })

export const DeletedResponse = z.object({ id: z.string(), object: z.literal('response'), deleted: z.literal(true) }).meta({ id: 'DeletedResponse' })

export const ItemList = z
  .object({
    object: z.literal('list'),
    data: z.array(jsonValue),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  })
  .meta({ id: 'ResponseItemList' })

export type OutputLogprob = z.output<typeof OutputLogprob>
export type OutputItem = z.output<typeof OutputItem>
export type ResponseBody = z.output<typeof ResponseBody>
export type ResponseEvent = z.output<typeof ResponseEvent>
