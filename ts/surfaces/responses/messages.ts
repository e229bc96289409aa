// Items as messages of the neutral turn. Reasoning, text and calls of one answer are items beside each other here, and one
// message there.

import type { ToolCall, TurnMessage, TurnPart } from '../../service/types.js'
import { readOpaqueReasoning } from '../opaque-reasoning.js'
import { wellFormed } from '../turn-fields.js'
import { customArguments } from './custom-tools.js'
import type { ContentItem, MessageItem } from './schemas/items.js'

interface OpenAnswer {
  reasoning: string
  parts: TurnPart[]
  calls: ToolCall[]
  /** A message item was the last one: another one is another message. */
  endsInMessage: boolean
}

/** `developer` is another name of `system`. */
export function turnMessages(instructions: string | null | undefined, items: readonly ContentItem[]): TurnMessage[] {
  const messages: TurnMessage[] = instructions ? [{ role: 'system', content: wellFormed(instructions) }] : []
  let open: OpenAnswer | null = null
  const endAnswer = (): void => {
    if (open) messages.push(assistantMessage(open))
    open = null
  }
  for (const item of items) {
    if (open && startsAnother(open, item)) endAnswer()
    if (isAnswer(item)) {
      open ??= { reasoning: '', parts: [], calls: [], endsInMessage: false }
      add(open, item)
      continue
    }
    endAnswer()
    messages.push(otherMessage(item))
  }
  endAnswer()
  return messages
}

type OutputItem = Exclude<ContentItem, { type: 'function_call_output' | 'custom_tool_call_output' }>
type Other = Exclude<ContentItem, { type: 'reasoning' | 'function_call' | 'custom_tool_call' }>

function isMessage(item: ContentItem): item is MessageItem {
  return item.type === 'message' || item.type === undefined || item.type === null
}

function isAnswer(item: ContentItem): item is OutputItem {
  if (isMessage(item)) return item.role === 'assistant'
  return item.type === 'reasoning' || item.type === 'function_call' || item.type === 'custom_tool_call'
}

/** Reasoning begins an answer, and no answer has two messages that follow each other. */
function startsAnother(open: OpenAnswer, item: ContentItem): boolean {
  if (item.type === 'reasoning') return open.parts.length > 0 || open.calls.length > 0
  return isMessage(item) && open.endsInMessage
}

function add(open: OpenAnswer, item: OutputItem): void {
  open.endsInMessage = isMessage(item)
  if (isMessage(item)) {
    open.parts.push(...partsOf(item.content))
    return
  }
  switch (item.type) {
    case 'reasoning':
      open.reasoning += reasoningOf(item)
      break
    case 'function_call':
      // Clients send an empty text for a call without arguments.
      open.calls.push(callOf(item, item.arguments.trim() === '' ? '{}' : item.arguments))
      break
    case 'custom_tool_call':
      open.calls.push(callOf(item, customArguments(wellFormed(item.input))))
  }
}

function callOf({ call_id: id, name }: { readonly call_id: string; readonly name: string }, text: string): ToolCall {
  return { id: wellFormed(id), name: wellFormed(name), arguments: wellFormed(text) }
}

function assistantMessage({ reasoning, parts, calls }: OpenAnswer): TurnMessage {
  return {
    role: 'assistant',
    content: parts,
    ...(reasoning === '' ? {} : { reasoning: wellFormed(reasoning) }),
    ...(calls.length === 0 ? {} : { toolCalls: calls }),
  }
}

function otherMessage(item: Other): TurnMessage {
  if (!isMessage(item)) return { role: 'tool', toolCallId: wellFormed(item.call_id), content: partsOf(item.output) }
  return { role: item.role === 'developer' ? 'system' : item.role, content: partsOf(item.content) }
}

function partsOf(content: MessageItem['content']): TurnPart[] {
  if (typeof content === 'string') return [{ kind: 'text', text: wellFormed(content) }]
  return content.map((part) => ({ kind: 'text', text: wellFormed(part.type === 'refusal' ? part.refusal : part.text) }))
}

/** The text, else the form that a client carries, else the summary. Of another server's form nothing is read. */
function reasoningOf({ content, encrypted_content: opaque, summary }: Extract<ContentItem, { type: 'reasoning' }>): string {
  const joined = (texts: readonly { readonly text: string }[] | null | undefined): string => (texts ?? []).map(({ text }) => text).join('')
  return joined(content) || readOpaqueReasoning(opaque ?? '') || joined(summary)
}
