// Messages of blocks as messages of the neutral turn.

import { boundedJson, SCHEMA_BOUNDS, type JsonBounds } from '../json-bounds.js'
import type { ToolCall, TurnMessage, TurnPart } from '../../service/types.js'
import { readOpaqueReasoning } from '../opaque-reasoning.js'
import { wellFormed } from '../turn-fields.js'
import type { Message } from './schemas/blocks.js'
import type { CountTokensRequest } from './schemas/messages.js'
import { systemText } from './system.js'

/** The bytes are bounded with the body's. */
const INPUT_BOUNDS: JsonBounds = { ...SCHEMA_BOUNDS, bytes: Infinity }

type UserBlock = Exclude<Extract<Message, { role: 'user' }>['content'], string>[number]
type ToolResult = Extract<UserBlock, { type: 'tool_result' }>
type AssistantBlock = Exclude<Extract<Message, { role: 'assistant' }>['content'], string>[number]

/**
 * The system prompt first. A system message further on stays where it is, so that what changes there changes no token
 * before it.
 */
export function turnMessages({ messages, system }: Pick<CountTokensRequest, 'messages' | 'system'>): TurnMessage[] {
  const text = systemText(system)
  const head: TurnMessage[] = text === null ? [] : [{ role: 'system', content: text }]
  return [...head, ...messages.flatMap((message, index) => turnMessagesOf(message, `messages.${index}.content`))]
}

/** `path`: of the content, for errors. */
function turnMessagesOf(message: Message, path: string): TurnMessage[] {
  const { role, content } = message
  if (typeof content === 'string') return [{ role, content: wellFormed(content) }]
  if (message.role === 'user') return userMessages(message.content as readonly UserBlock[])
  if (message.role === 'assistant') return [assistantMessage(message.content as readonly AssistantBlock[], path)]
  return [{ role, content: texts(content as readonly { readonly text: string }[]) }]
}

/** Results of tools are messages of their own; texts between them are messages of the user. */
function userMessages(blocks: readonly UserBlock[]): TurnMessage[] {
  const messages: TurnMessage[] = []
  let pending: Array<{ readonly text: string }> = []
  const endText = (): void => {
    if (pending.length > 0) messages.push({ role: 'user', content: texts(pending) })
    pending = []
  }
  for (const block of blocks) {
    if (block.type === 'text') {
      pending.push(block)
      continue
    }
    endText()
    messages.push({ role: 'tool', toolCallId: wellFormed(block.tool_use_id), content: resultParts(block) })
  }
  endText()
  return messages
}

/** Templates have no word for a result that is an error, so its text says so. */
function resultParts({ content, is_error }: ToolResult): TurnPart[] {
  const parts = texts(typeof content === 'string' ? [{ text: content }] : (content ?? []))
  return is_error ? [{ kind: 'text', text: 'Error: ' }, ...parts] : parts
}

function assistantMessage(blocks: readonly AssistantBlock[], path: string): TurnMessage {
  const reasoning = blocks.flatMap((block) => (block.type === 'thinking' ? [thinkingOf(block.thinking, block.signature)] : [])).join('')
  const toolCalls = blocks.flatMap((block, index): ToolCall[] => {
    if (block.type !== 'tool_use') return []
    const input = boundedJson(block.input, INPUT_BOUNDS, `${path}.${index}.input`)
    return [{ id: wellFormed(block.id), name: wellFormed(block.name), arguments: JSON.stringify(input) }]
  })
  return {
    role: 'assistant',
    content: texts(blocks.flatMap((block) => (block.type === 'text' ? [block] : []))),
    ...(reasoning === '' ? {} : { reasoning: wellFormed(reasoning) }),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
  }
}

/** Where the text was left out of the answer, the signature carries it. */
function thinkingOf(thinking: string, signature: string | null | undefined): string {
  return thinking === '' ? (readOpaqueReasoning(signature ?? '') ?? '') : thinking
}

function texts(blocks: readonly { readonly text: string }[]): TurnPart[] {
  return blocks.map(({ text }) => ({ kind: 'text', text: wellFormed(text) }))
}
