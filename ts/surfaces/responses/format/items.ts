// Parts of an answer as output items.

import { randomUUID } from 'node:crypto'
import type { TokenLogprob } from '../../../engine/types.js'
import type { PartEvent, PartHead } from '../../answer-parts.js'
import { opaqueReasoning } from '../../opaque-reasoning.js'
import type { SurfaceContext } from '../../surface.js'
import { customInput } from '../custom-tools.js'
import type { OutputItem } from '../schemas/response.js'
import { outputLogprobs } from './logprobs.js'

type Status = OutputItem['status']

export interface ItemOptions {
  readonly text: SurfaceContext['engine']['text']
  readonly withLogprobs: boolean
  readonly withOpaqueReasoning: boolean
  /** Names of tools whose calls are texts. */
  readonly customTools: ReadonlySet<string>
}

const PREFIXES: Readonly<Record<PartHead['kind'], string>> = { content: 'msg', reasoning: 'rs', call: 'fc' }

export function newItemId({ kind }: PartHead): string {
  return `${PREFIXES[kind]}_${randomUUID().replaceAll('-', '')}`
}

/** As it is announced: without its parts. */
export function openItem(id: string, head: PartHead, options: ItemOptions): OutputItem {
  const part = head.kind === 'call' ? { kind: head.kind, call: { id: head.id, name: head.name, arguments: '' } } : { kind: head.kind, text: '' }
  const item = wholeItem(id, { part, logprobs: [] }, 'in_progress', { ...options, withOpaqueReasoning: false })
  return item.type === 'message' || item.type === 'reasoning' ? { ...item, content: [] } : item
}

export type WholePart = Pick<Extract<PartEvent, { type: 'close' }>, 'part' | 'logprobs'>

export function wholeItem(id: string, { part, logprobs }: WholePart, status: Status, options: ItemOptions): OutputItem {
  switch (part.kind) {
    case 'content':
      return { type: 'message', id, status, role: 'assistant', content: [outputText(part.text, logprobs, options)] }
    case 'reasoning': {
      const opaque = options.withOpaqueReasoning ? { encrypted_content: opaqueReasoning(part.text) } : {}
      return { type: 'reasoning', id, status, summary: [], content: [{ type: 'reasoning_text', text: part.text }], ...opaque }
    }
    case 'call': {
      const { id: call_id, name, arguments: text } = part.call
      const call = { id, status, call_id, name }
      return options.customTools.has(name) ? { type: 'custom_tool_call', ...call, input: customInput(text) } : { type: 'function_call', ...call, arguments: text }
    }
  }
}

export function outputText(text: string, logprobs: readonly TokenLogprob[], options: ItemOptions) {
  return { type: 'output_text' as const, text, annotations: [], logprobs: options.withLogprobs ? outputLogprobs(logprobs, options.text) : [] }
}
