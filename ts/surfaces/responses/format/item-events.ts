// The events of one output item: it is announced, it grows, it is whole.

import type { PartEvent } from '../../answer-parts.js'
import type { OutputItem, ResponseEvent } from '../schemas/response.js'
import { outputText, type ItemOptions } from './items.js'

type Unnumbered<E> = E extends ResponseEvent ? Omit<E, 'sequence_number'> : never
export type PlainEvent = Unnumbered<ResponseEvent>

export function openEvents(item: OutputItem, output_index: number): PlainEvent[] {
  const added: PlainEvent = { type: 'response.output_item.added', output_index, item }
  const part = emptyPart(item)
  return part === null ? [added] : [added, { type: 'response.content_part.added', output_index, item_id: item.id, content_index: 0, part }]
}

export function moreEvents(item_id: string, event: Extract<PartEvent, { type: 'more' }>, output_index: number, options: ItemOptions): PlainEvent[] {
  const { head, text: delta } = event
  const place = { output_index, item_id }
  switch (head.kind) {
    case 'content': {
      const { logprobs } = outputText('', event.logprobs, options)
      if (delta === '' && logprobs.length === 0) return []
      return [{ type: 'response.output_text.delta', ...place, content_index: 0, delta, logprobs }]
    }
    case 'reasoning':
      return [{ type: 'response.reasoning_text.delta', ...place, content_index: 0, delta }]
    case 'call':
      // A custom tool's input is inside of a JSON text: it is told when that is whole.
      return options.customTools.has(head.name) ? [] : [{ type: 'response.function_call_arguments.delta', ...place, delta }]
  }
}

export function doneEvents(item: OutputItem, output_index: number): PlainEvent[] {
  return [...contentDone(item, { output_index, item_id: item.id }), { type: 'response.output_item.done', output_index, item }]
}

function contentDone(item: OutputItem, place: { readonly output_index: number; readonly item_id: string }): PlainEvent[] {
  const ofPart = { ...place, content_index: 0 }
  switch (item.type) {
    case 'message':
      return item.content.flatMap((part): PlainEvent[] => [
        { type: 'response.output_text.done', ...ofPart, text: part.text, logprobs: part.logprobs },
        { type: 'response.content_part.done', ...ofPart, part },
      ])
    case 'reasoning':
      return item.content.flatMap((part): PlainEvent[] => [
        { type: 'response.reasoning_text.done', ...ofPart, text: part.text },
        { type: 'response.content_part.done', ...ofPart, part },
      ])
    case 'function_call':
      return [{ type: 'response.function_call_arguments.done', ...place, name: item.name, arguments: item.arguments }]
    case 'custom_tool_call':
      return [
        { type: 'response.custom_tool_call_input.delta', ...place, delta: item.input },
        { type: 'response.custom_tool_call_input.done', ...place, input: item.input },
      ]
  }
}

function emptyPart({ type }: OutputItem) {
  if (type === 'message') return { type: 'output_text' as const, text: '', annotations: [], logprobs: [] }
  return type === 'reasoning' ? { type: 'reasoning_text' as const, text: '' } : null
}
