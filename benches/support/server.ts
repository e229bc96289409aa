// The real server, as its users start it, and requests to it with their times.

import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
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

/** Milliseconds between two looks, and how many in a row must find an idle server. */
const LOOK_MS = 500
const IDLE_LOOKS = 8
/** Clock ticks (of 10 ms) of processor time between two looks that count as idle. */
const IDLE_TICKS = 2

/**
 * Resolves when the server has done nothing for four seconds. Some seconds after its start it makes the memory of its tiers
 * present in the background, which slows down whatever runs beside it.
 */
export async function settled(server: TestServer): Promise<void> {
  let before = -Infinity
  for (let idle = 0; idle < IDLE_LOOKS; ) {
    const ticks = await ticksOf(server.pid)
    idle = ticks - before <= IDLE_TICKS ? idle + 1 : 0
    before = ticks
    await wait(LOOK_MS)
  }
}

/** User and system time of a process. */
async function ticksOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** The first `count` tokens of a text that has more. */
export async function firstTokens(server: TestServer, text: string, count: number): Promise<number[]> {
  const tokens = await tokensOf(server, text)
  if (tokens.length < count) throw new Error(`the text has ${tokens.length} tokens, not ${count}`)
  return tokens.slice(0, count)
}
