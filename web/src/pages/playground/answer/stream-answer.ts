// One answer, streamed from POST /v1/chat/completions.

import type { ChatChunk, ChatRequest, ErrorBody, Usage } from 'attentionstore/protocol'
import type { HttpClient } from '../../../http/client.js'
import { eventData } from '../../../http/events.js'
import { HttpFailure } from '../../../http/failure.js'

export interface AnswerEnd {
  readonly usage: Usage | null
  /** The server's word for why it ended. */
  readonly finish: string | null
}

/**
 * Calls `onDelta` with each piece as it comes.
 * @throws HttpFailure where the server refused or broke off; AbortError once `signal` is aborted.
 */
export async function streamAnswer(
  http: HttpClient,
  request: ChatRequest,
  signal: AbortSignal,
  onDelta: (delta: ChatChunk['choices'][number]['delta']) => void,
): Promise<AnswerEnd> {
  const body: ChatRequest = { ...request, stream: true, stream_options: { include_usage: true } }
  const response = await http.open('/v1/chat/completions', { method: 'POST', body, signal })
  if (!response.body) throw new HttpFailure(response.status, 'empty', 'the server sent no answer')
  let usage: Usage | null = null
  let finish: string | null = null
  for await (const data of eventData(response.body)) {
    if (data === '[DONE]') return { usage, finish }
    const chunk = JSON.parse(data) as ChatChunk | ErrorBody
    if ('error' in chunk) throw new HttpFailure(response.status, chunk.error.code, chunk.error.message)
    const [choice] = chunk.choices
    if (choice) onDelta(choice.delta)
    finish = choice?.finish_reason ?? finish
    usage = chunk.usage ?? usage
  }
  throw new HttpFailure(response.status, 'broken_off', 'the answer broke off before its end')
}
