// Messages of a conversation, in every form in which clients send them back.

import { z } from 'zod'
import { calledName, callId, MAX_CALLS } from '../../limits.js'

/** Most content parts and calls of a request. */
export const MAX_PARTS = 65_536

/** `input_text` and `output_text` are the Responses API's names; `refusal` and `thinking` are parts of assistants' messages. */
export const TEXT_PARTS = ['text', 'input_text', 'output_text', 'refusal', 'thinking'] as const

const textPart = z.object({ type: z.enum(['text', 'input_text', 'output_text']), text: z.string() })
const refusalPart = z.object({ type: z.literal('refusal'), refusal: z.string() })
const thinkingPart = z.object({ type: z.literal('thinking'), thinking: z.string() })

const content = z.union([z.string(), z.array(textPart).min(1)])
const resultContent = z.union([z.string(), z.array(textPart)]).nullish()
const answerContent = z
  .union([z.string(), z.array(z.discriminatedUnion('type', [textPart, refusalPart, thinkingPart]))])
  .nullish()
  .meta({ description: 'may be null, beside tool_calls for instance' })

const name = z.string().max(64).nullish()

/** As clients know a call: arguments are JSON text of an object; an empty text is short for `{}`. */
const called = z.object({ name: calledName, arguments: z.string() })
const toolCall = z.object({ id: callId, type: z.literal('function').nullish(), function: called })

const begun = {
  prefix: z.boolean().nullish().meta({ description: "true, of the last message, the assistant's: the answer goes on with it" }),
  partial: z.boolean().nullish().meta({ description: 'the same as prefix' }),
}

const reasoning = z.string().nullish().meta({ description: 'of the answer, where the client keeps it' })

export const ChatMessage = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer', 'user']), content, name, ...begun }),
  z.object({
    role: z.literal('assistant'),
    content: answerContent,
    name,
    refusal: z.string().nullish(),
    reasoning_content: reasoning,
    reasoning,
    tool_calls: z.array(toolCall).max(MAX_CALLS).nullish(),
    function_call: called.nullish().meta({ deprecated: true }),
    ...begun,
  }),
  z.object({ role: z.literal('tool'), content: resultContent, tool_call_id: z.union([callId, z.literal('')]).nullish(), name: z.string().max(256).nullish(), ...begun }),
  z.object({ role: z.literal('function'), content: resultContent, name: calledName, ...begun }).meta({ deprecated: true }),
])
