// Blocks of messages, as clients send them. A schema drops what it does not know, so a cache marker is seen here and nowhere
// after.

import { z } from 'zod'
import { calledName, callId } from '../../limits.js'

/** Types of the blocks below. */
export const BLOCK_TYPES = ['text', 'thinking', 'redacted_thinking', 'tool_use', 'tool_result'] as const

/** A wish how long the prompt up to here is kept. */
export const cacheControl = z
  .object({ type: z.literal('ephemeral'), ttl: z.enum(['5m', '1h']).nullish() })
  .nullish()
  .meta({ description: 'a retention hint; it is no part of the prompt' })

export const TextBlock = z.object({ type: z.literal('text'), text: z.string(), cache_control: cacheControl })

const ThinkingBlock = z.object({
  type: z.literal('thinking'),
  thinking: z.string(),
  signature: z.string().nullish().meta({ description: 'read only where the thinking itself was left out' }),
})

const RedactedThinkingBlock = z.object({ type: z.literal('redacted_thinking'), data: z.string().meta({ description: 'dropped: this server makes none' }) })

const ToolUseBlock = z.object({ type: z.literal('tool_use'), id: callId, name: calledName, input: z.record(z.string(), z.unknown()), cache_control: cacheControl })

const ToolResultBlock = z.object({
  type: z.literal('tool_result'),
  tool_use_id: callId,
  content: z.union([z.string(), z.array(TextBlock)]).nullish(),
  is_error: z.boolean().nullish(),
  cache_control: cacheControl,
})

const text = z.string()

export const Message = z.discriminatedUnion('role', [
  z.object({ role: z.literal('user'), content: z.union([text, z.array(z.discriminatedUnion('type', [TextBlock, ToolResultBlock])).min(1)]) }),
  z.object({
    role: z.literal('assistant'),
    content: z.union([text, z.array(z.discriminatedUnion('type', [TextBlock, ThinkingBlock, RedactedThinkingBlock, ToolUseBlock]))]),
  }),
  z.object({ role: z.literal('system'), content: z.union([text, z.array(TextBlock).min(1)]) }),
])

export type Message = z.output<typeof Message>
