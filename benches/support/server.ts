// The real server, as its users start it, and requests to it with their times.

import { tokensOf, type TestServer } from '../../test/support/server.js'
import type { Usage } from '../../ts/protocol/index.js'

export interface TimedAnswer {
  readonly usage: Usage
  /** From sending the request to its first piece of text, at the client. */
  readonly ttftMs: number
  /** From the first piece of text to the end of the stream. */
  readonly restMs: number
  readonly text: string
}

interface Chunk {
  readonly choices: ReadonlyArray<{ readonly text?: string; readonly delta?: { readonly content?: string } }>
  readonly usage?: Usage | null
}

/** Posts a streaming request to `/v1/chat/completions` or `/v1/completions` and times what comes back. */
export async function timeAnswer(server: TestServer, route: string, body: Readonly<Record<string, unknown>>): Promise<TimedAnswer> {
  const sentAt = performance.now()
  const response = await server.post(route, { ...body, stream: true, stream_options: { include_usage: true } })
  if (!response.ok || !response.body) throw new Error(`${route}: ${response.status} ${await response.text()}`)
  let firstAt: number | null = null
  let usage: Usage | null = null
  let text = ''
  for await (const chunk of eventsOf(response.body)) {
    const [choice] = chunk.choices
    const piece = choice?.text ?? choice?.delta?.content ?? ''
    if (piece !== '') firstAt ??= performance.now()
    text += piece
    usage = chunk.usage ?? usage
  }
  const endAt = performance.now()
  if (!usage) throw new Error(`${route}: the stream ended without usage`)
  return { usage, ttftMs: (firstAt ?? endAt) - sentAt, restMs: endAt - (firstAt ?? endAt), text }
}

async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Chunk> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true })
    const events = text.split('\n\n')
    text = events.pop() ?? ''
    for (const event of events) {
      if (event.startsWith('data: {')) yield JSON.parse(event.slice(6)) as Chunk
    }
  }
}

/** The first `count` tokens of a text that has more. */
export async function firstTokens(server: TestServer, text: string, count: number): Promise<number[]> {
  const tokens = await tokensOf(server, text)
  if (tokens.length < count) throw new Error(`the text has ${tokens.length} tokens, not ${count}`)
  return tokens.slice(0, count)
}
