// Bodies of messages: whole, and event by event.

import type { Turn } from '../../../service/types.js'
import { partEvents } from '../../answer-parts.js'
import type { Answer } from '../../turns.js'
import type { MessageResponse, StreamEvent } from '../schemas/message.js'
import { blockDelta, emptyBlock, signatureOf, wholeBlock, type BlockOptions } from './blocks.js'
import { stopOf } from './stop.js'
import { usageAtStart, usageBody } from './usage.js'

export interface MessageOptions extends BlockOptions {
  readonly id: string
  readonly model: string
  /** The request had a cache marker. */
  readonly isMarked: boolean
}

export function messageBody({ parts, calls, done }: Answer, options: MessageOptions): MessageResponse {
  return {
    ...headOf(options),
    content: parts.map((part) => wholeBlock(part, options)),
    ...stopOf(done, calls.length > 0),
    usage: usageBody(done.usage, options.isMarked),
  }
}

/** One block is open at a time. */
export async function* messageEvents(turn: Turn, options: MessageOptions): AsyncGenerator<StreamEvent> {
  const start = { stop_reason: null, stop_sequence: null, usage: usageAtStart(turn.promptTokens) }
  yield { type: 'message_start', message: { ...headOf(options), content: [], ...start } }
  let hasCalls = false
  for await (const event of partEvents(turn)) {
    switch (event.type) {
      case 'open':
        hasCalls ||= event.head.kind === 'call'
        yield { type: 'content_block_start', index: event.index, content_block: emptyBlock(event.head) }
        break
      case 'more': {
        const delta = event.text === '' ? null : blockDelta(event.head, event.text, options)
        if (delta) yield { type: 'content_block_delta', index: event.index, delta }
        break
      }
      case 'close':
        if (event.part.kind === 'reasoning') {
          const delta = { type: 'signature_delta' as const, signature: signatureOf(event.part.text, options) }
          yield { type: 'content_block_delta', index: event.index, delta }
        }
        yield { type: 'content_block_stop', index: event.index }
        break
      case 'done':
        yield { type: 'message_delta', delta: stopOf(event.done, hasCalls), usage: usageBody(event.done.usage, options.isMarked) }
    }
  }
  yield { type: 'message_stop' }
}

function headOf({ id, model }: MessageOptions): Pick<MessageResponse, 'id' | 'type' | 'role' | 'model'> {
  return { id, type: 'message', role: 'assistant', model }
}
