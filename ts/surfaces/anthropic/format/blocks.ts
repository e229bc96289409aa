// Parts of an answer as content blocks.

import type { PartHead } from '../../answer-parts.js'
import { opaqueReasoning, reasoningDigest } from '../../opaque-reasoning.js'
import type { AnswerPart } from '../../turns.js'
import type { ContentBlock, StreamEvent } from '../schemas/message.js'

type Delta = Extract<StreamEvent, { type: 'content_block_delta' }>['delta']

export interface BlockOptions {
  /** Thinking blocks come without their text; the signature carries it. */
  readonly omitsThinking: boolean
}

export function emptyBlock(head: PartHead): ContentBlock {
  switch (head.kind) {
    case 'content':
      return { type: 'text', text: '' }
    case 'reasoning':
      return { type: 'thinking', thinking: '', signature: '' }
    case 'call':
      return { type: 'tool_use', id: head.id, name: head.name, input: {} }
  }
}

export function wholeBlock(part: AnswerPart, options: BlockOptions): ContentBlock {
  switch (part.kind) {
    case 'content':
      return { type: 'text', text: part.text }
    case 'reasoning':
      return { type: 'thinking', thinking: options.omitsThinking ? '' : part.text, signature: signatureOf(part.text, options) }
    case 'call':
      return { type: 'tool_use', id: part.call.id, name: part.call.name, input: inputOf(part.call.arguments) }
  }
}

/** null: the block does not show this text. */
export function blockDelta({ kind }: PartHead, text: string, { omitsThinking }: BlockOptions): Delta | null {
  if (kind === 'content') return { type: 'text_delta', text }
  if (kind === 'call') return { type: 'input_json_delta', partial_json: text }
  return omitsThinking ? null : { type: 'thinking_delta', thinking: text }
}

export function signatureOf(reasoning: string, { omitsThinking }: BlockOptions): string {
  return omitsThinking ? opaqueReasoning(reasoning) : reasoningDigest(reasoning)
}

/** Arguments that were cut off are no JSON: the text stands under the name that Anthropic gives it. */
function inputOf(text: string): Record<string, unknown> {
  if (text.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // The text below says it all.
  }
  return { INVALID_JSON: text }
}
