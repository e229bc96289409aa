// Items of an input, as clients send them; the items of an output are among them, because clients send those back.

import { z } from 'zod'
import { calledName, callId } from '../../limits.js'

/** Types of the items, and of the parts of messages and outputs, below. */
export const ITEM_TYPES = ['message', 'function_call', 'function_call_output', 'custom_tool_call', 'custom_tool_call_output', 'reasoning', 'item_reference'] as const
export const PART_TYPES = ['input_text', 'output_text', 'text', 'refusal'] as const

const id = z.string().max(256).nullish()
const status = z.string().max(32).nullish()

const TextPart = z.object({ type: z.enum(['input_text', 'output_text', 'text']), text: z.string() })
const Refusal = z.object({ type: z.literal('refusal'), refusal: z.string() })
const messagePart = z.discriminatedUnion('type', [TextPart, Refusal])

const MessageItem = z.object({
  type: z.literal('message').nullish(),
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.union([z.string(), z.array(messagePart)]),
  id,
  status,
})

const output = z.union([z.string(), z.array(TextPart)])

const FunctionCall = z.object({ type: z.literal('function_call'), call_id: callId, name: calledName, arguments: z.string(), id, status })
const FunctionCallOutput = z.object({ type: z.literal('function_call_output'), call_id: callId, output, id, status })
const CustomToolCall = z.object({ type: z.literal('custom_tool_call'), call_id: callId, name: calledName, input: z.string(), id, status })
const CustomToolCallOutput = z.object({ type: z.literal('custom_tool_call_output'), call_id: callId, output, id, status })

const reasoningText = z.object({ type: z.string().max(32), text: z.string() })

const Reasoning = z.object({
  type: z.literal('reasoning'),
  id,
  summary: z.array(reasoningText).nullish().meta({ description: 'read where there is neither content nor encrypted_content' }),
  content: z.array(reasoningText).nullish(),
  encrypted_content: z.string().nullish(),
  status,
})

const ItemReference = z.object({ type: z.literal('item_reference'), id: z.string().min(1).max(256) })

/** An item without a type is a message. */
export const InputItem = z.discriminatedUnion('type', [
  MessageItem,
  FunctionCall,
  FunctionCallOutput,
  CustomToolCall,
  CustomToolCallOutput,
  Reasoning,
  ItemReference,
])

export type InputItem = z.output<typeof InputItem>
/** An item whose text is here. */
export type ContentItem = Exclude<InputItem, { type: 'item_reference' }>
export type MessageItem = z.output<typeof MessageItem>
