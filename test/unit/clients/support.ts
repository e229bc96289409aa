// Bodies as clients send them pass unchanged: answered with strict fields, so that none of their fields is unknown.

import { eventData } from '../../../ts/cli/client.js'
import type { ChatChunk } from '../../../ts/protocol/index.js'
import type { TurnMessage, TurnRequest } from '../../../ts/service/types.js'
import { openTestApi, type TestApi } from '../support/api.js'

export async function openStrict(t: { teardown: (close: () => Promise<void>) => void }): Promise<TestApi> {
  const api = await openTestApi({ strictFields: true })
  t.teardown(() => api.close())
  return api
}

export interface Passed {
  readonly response: Response
  readonly request: TurnRequest
  readonly messages: readonly TurnMessage[]
}

export async function passes(api: TestApi, body: object, headers: Readonly<Record<string, string>> = {}): Promise<Passed> {
  const path = 'messages' in body ? '/v1/chat/completions' : '/v1/completions'
  const response = await api.post(path, body, headers)
  if (response.status !== 200) throw new Error(await response.text())
  const request = api.service.lastRequest
  return { response, request, messages: request.prompt.kind === 'chat' ? request.prompt.messages : [] }
}

export async function chunksOf({ body }: Response): Promise<ChatChunk[]> {
  const chunks: ChatChunk[] = []
  for await (const data of eventData(body as unknown as AsyncIterable<Uint8Array>)) {
    if (data !== '[DONE]') chunks.push(JSON.parse(data) as ChatChunk)
  }
  return chunks
}

/** A call as messages of OpenAI's format repeat it. */
export const madeCall = (id: string, name: string, text: string) => ({ id, type: 'function', function: { name, arguments: text } })

/** The calls of a stream as its reader puts them together. */
export function callsOf(chunks: readonly ChatChunk[]): Array<{ id: string; name: string; arguments: string }> {
  const calls: Array<{ id: string; name: string; arguments: string }> = []
  for (const { index, id, function: piece } of chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])) {
    const call = (calls[index] ??= { id: '', name: '', arguments: '' })
    call.id += id ?? ''
    call.name += piece.name ?? ''
    call.arguments += piece.arguments
  }
  return calls
}
