// Answers: whole, and event by event.

import { z } from 'zod'

const count = z.int().nonnegative()

export const ContentBlock = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() }),
  z.object({ type: z.literal('tool_use'), id: z.string(), name: z.string(), input: z.record(z.string(), z.unknown()) }),
])

export const stopReason = z.enum(['end_turn', 'max_tokens', 'stop_sequence', 'tool_use'])

/** `input_tokens` + both of the cache = tokens of the prompt. */
export const AnthropicUsage = z
  .object({
    input_tokens: count,
    cache_creation_input_tokens: count.meta({ description: 'computed, where the request had a cache marker' }),
    cache_read_input_tokens: count.meta({ description: 'reused, from all tiers' }),
    output_tokens: count,
    output_tokens_details: z.object({ thinking_tokens: count }),
  })
  .meta({ id: 'AnthropicUsage' })

export const MessageResponse = z
  .object({
    id: z.string(),
    type: z.literal('message'),
    role: z.literal('assistant'),
    model: z.string(),
    content: z.array(ContentBlock),
    stop_reason: stopReason.nullable(),
    stop_sequence: z.string().nullable(),
    usage: AnthropicUsage,
  })
  .meta({ id: 'AnthropicMessage' })

const index = z.int().nonnegative()

const BlockDelta = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text_delta'), text: z.string() }),
  z.object({ type: z.literal('thinking_delta'), thinking: z.string() }),
  z.object({ type: z.literal('signature_delta'), signature: z.string() }),
  z.object({ type: z.literal('input_json_delta'), partial_json: z.string() }),
])

export const StreamEvent = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('message_start'), message: MessageResponse }),
    z.object({ type: z.literal('content_block_start'), index, content_block: ContentBlock }),
    z.object({ type: z.literal('content_block_delta'), index, delta: BlockDelta }),
    z.object({ type: z.literal('content_block_stop'), index }),
    z.object({
      type: z.literal('message_delta'),
      delta: z.object({ stop_reason: stopReason, stop_sequence: z.string().nullable() }),
      usage: AnthropicUsage,
    }),
    z.object({ type: z.literal('message_stop') }),
  ])
  .meta({ id: 'AnthropicStreamEvent' })

export type ContentBlock = z.output<typeof ContentBlock>
export type MessageResponse = z.output<typeof MessageResponse>
export type StreamEvent = z.output<typeof StreamEvent>
export type AnthropicUsage = z.output<typeof AnthropicUsage>
