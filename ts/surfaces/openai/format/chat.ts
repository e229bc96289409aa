// Bodies of chat completions: whole, and in chunks.

import type { ChatChunk, ChatResponse } from '../../../protocol/index.js'
import type { Turn } from '../../../service/types.js'
import type { SurfaceContext } from '../../surface.js'
import type { Answer } from '../../turns.js'
import { finishReason } from './finish.js'
import { chatLogprobs } from './logprobs.js'
import { usageBody } from './usage.js'

export interface ResponseHead {
  readonly id: string
  readonly created: number
  readonly model: string
}

export interface ChunkOptions {
  readonly logprobs: boolean
  readonly includeUsage: boolean
}

type Text = SurfaceContext['engine']['text']

export function chatBody(head: ResponseHead, answer: Answer, logprobs: boolean, text: Text): ChatResponse {
  const { done, deltas } = answer
  const tokens = deltas.flatMap((delta) => delta.logprobs)
  return {
    ...head,
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: answer.text, refusal: null },
        logprobs: logprobs ? chatLogprobs(tokens, text) : null,
        finish_reason: finishReason(done.finish),
        stop_reason: done.stopReason,
      },
    ],
    usage: usageBody([done.usage]),
  }
}

type ChunkChoice = ChatChunk['choices'][number]

/** The role, the deltas, the finish, and then the usage if asked for. */
export async function* chatChunks(
  head: ResponseHead,
  turn: Turn,
  options: ChunkOptions,
  text: Text,
): AsyncGenerator<ChatChunk> {
  const usageField = options.includeUsage ? { usage: null } : {}
  const chunk = (choice: Omit<ChunkChoice, 'index'>): ChatChunk => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, ...choice }],
    ...usageField,
  })
  yield chunk({ delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null })
  for await (const event of turn) {
    if (event.type === 'delta') {
      if (event.text === '' && !options.logprobs) continue
      const logprobs = options.logprobs ? chatLogprobs(event.logprobs, text) : null
      yield chunk({ delta: { content: event.text }, logprobs, finish_reason: null })
      continue
    }
    if (event.type !== 'done') continue
    yield chunk({ delta: {}, logprobs: null, finish_reason: finishReason(event.finish), stop_reason: event.stopReason })
    if (!options.includeUsage) return
    yield { ...head, object: 'chat.completion.chunk', choices: [], usage: usageBody([event.usage]) }
  }
}
