// Chat messages as the service takes them: one text each, beside reasoning and calls.

import type { z } from 'zod'
import type { ToolCall, TurnMessage } from '../../service/types.js'
import { wellFormed } from '../turn-fields.js'
import type { ChatMessage } from './schemas/messages.js'

type Message = z.output<typeof ChatMessage>
type Assistant = Extract<Message, { role: 'assistant' }>
type Part = Exclude<Assistant['content'], string | null | undefined>[number]

/**
 * `developer` is another name of `system`; the texts of content parts follow each other without a separator. The older
 * `function_call` becomes a call with an id of its own, and a `function` message the result of the last one.
 */
export function turnMessages(messages: readonly Message[]): Array<TurnMessage & { readonly content: string }> {
  let lastFunctionCall: string | undefined
  return messages.map((message, index) => {
    const name = message.name ? { name: wellFormed(message.name) } : {}
    switch (message.role) {
      case 'assistant': {
        const old = message.tool_calls?.length ? undefined : message.function_call
        if (old) lastFunctionCall = `call_${index}`
        return { ...assistantMessage(message, old ? [callOf(`call_${index}`, old)] : toolCalls(message)), ...name }
      }
      case 'tool':
        return { role: 'tool', content: contentText(message.content), ...name, ...result(message.tool_call_id) }
      case 'function':
        return { role: 'tool', content: contentText(message.content), ...name, ...result(lastFunctionCall) }
      default:
        return { role: message.role === 'developer' ? 'system' : message.role, content: contentText(message.content), ...name }
    }
  })
}

function assistantMessage(message: Assistant, calls: readonly ToolCall[]): TurnMessage & { readonly content: string } {
  const reasoning = message.reasoning_content || message.reasoning || thoughts(message.content)
  return {
    role: 'assistant',
    content: contentText(message.content) || wellFormed(message.refusal ?? ''),
    ...(reasoning ? { reasoning: wellFormed(reasoning) } : {}),
    ...(calls.length > 0 ? { toolCalls: calls } : {}),
  }
}

const result = (id: string | null | undefined) => (id ? { toolCallId: wellFormed(id) } : {})

function toolCalls({ tool_calls: calls }: Assistant): ToolCall[] {
  return (calls ?? []).map(({ id, function: called }) => callOf(wellFormed(id), called))
}

function callOf(id: string, called: { readonly name: string; readonly arguments: string }): ToolCall {
  // Clients send an empty text for a call without arguments.
  return { id, name: wellFormed(called.name), arguments: wellFormed(called.arguments.trim() === '' ? '{}' : called.arguments) }
}

function contentText(content: Message['content']): string {
  if (typeof content === 'string') return wellFormed(content)
  return wellFormed((content ?? []).map(partText).join(''))
}

function partText(part: Part): string {
  if (part.type === 'thinking') return ''
  return part.type === 'refusal' ? part.refusal : part.text
}

function thoughts(content: Assistant['content']): string {
  if (!content || typeof content === 'string') return ''
  return content.map((part) => (part.type === 'thinking' ? part.thinking : '')).join('')
}
