// One answer, streamed from POST /v1/chat/completions.

import type { ChatChunk, ChatMessage, ChatRequest, ErrorBody, Usage } from 'attentionstore/protocol'
import type { HttpClient } from '../../http/client.js'
import { eventData } from '../../http/events.js'
import { HttpFailure } from '../../http/failure.js'

export interface AnswerOptions {
  readonly messages: readonly ChatMessage[]
  readonly temperature: number
  readonly maxTokens: number
}

export interface AnswerEnd {
  readonly usage: Usage | null
  /** Whether the answer ended because it had no room left. */
  readonly isCut: boolean
}

/**
 * Calls `onText` with each piece as it comes.
 * @throws HttpFailure where the server refused or broke off; AbortError once `signal` is aborted.
 */
export async function streamAnswer(
  http: HttpClient,
  { messages, temperature, maxTokens }: AnswerOptions,
  signal: AbortSignal,
  onText: (piece: string) => void,
): Promise<AnswerEnd> {
  const body: ChatRequest = {
    messages: [...messages],
    temperature,
    max_tokens: maxTokens,
    stream: true,
    stream_options: { include_usage: true },
  }
  const response = await http.open('/v1/chat/completions', { method: 'POST', body, signal })
  if (!response.body) throw new HttpFailure(response.status, 'empty', 'the server sent no answer')
  let usage: Usage | null = null
  let isCut = false
  for await (const data of eventData(response.body)) {
    if (data === '[DONE]') return { usage, isCut }
    const chunk = JSON.parse(data) as ChatChunk | ErrorBody
    if ('error' in chunk) throw new HttpFailure(response.status, chunk.error.code, chunk.error.message)
    const [choice] = chunk.choices
    if (choice?.delta.content) onText(choice.delta.content)
    isCut ||= choice?.finish_reason === 'length'
    usage = chunk.usage ?? usage
  }
  throw new HttpFailure(response.status, 'broken_off', 'the answer broke off before its end')
}
