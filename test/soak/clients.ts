// Clients that come, go, break off and stop reading. Each holds what it is told against answers computed beforehand.

import { connect, type Socket } from 'node:net'
import { modelName, type Message } from '../support/conversation.js'
import type { Random } from '../support/random.js'
import type { Script } from '../support/scripts.js'
import type { TestServer } from '../support/server.js'

export const SOAK_SAMPLING = { temperature: 0, max_tokens: 8 } as const
/** Conversations with different salts share no block: this many copies of each script press on the tiers. */
const SALTS = 40
/** A client that stops reading asks for this many tokens. */
const UNREAD_TOKENS = 96

export interface SoakScript {
  readonly script: Script
  /** The right answer of each turn. */
  readonly answers: readonly string[]
}

/** The state that all clients share. */
export interface Soak {
  readonly server: TestServer
  readonly scripts: readonly SoakScript[]
  readonly random: Random
  isOver(): boolean
  /** Called after each turn that was read to its end. */
  answered(): Promise<void>
  readonly wrong: string[]
  readonly seen: Record<Behaviour, number>
}

export type Behaviour = 'whole' | 'streamed' | 'broken off' | 'not read'

const MIX: readonly Behaviour[] = ['whole', 'whole', 'whole', 'streamed', 'streamed', 'broken off', 'not read']

interface TurnInHand {
  readonly messages: readonly Message[]
  readonly expected: string
  readonly salt: string
}

async function readWhole({ server }: Soak, { messages, salt }: TurnInHand): Promise<string> {
  const body = { model: await modelName(server), messages: [...messages], cache_salt: salt, ...SOAK_SAMPLING }
  const response = await server.client.chat.completions.create({ ...body, stream: false })
  return response.choices[0]?.message.content ?? ''
}

/** Reads `limit` chunks of a stream, then lets go of it. */
async function readStream({ server }: Soak, { messages, salt }: TurnInHand, limit = Infinity): Promise<string> {
  const body = { model: await modelName(server), messages: [...messages], cache_salt: salt, ...SOAK_SAMPLING }
  const stream = await server.client.chat.completions.create({ ...body, stream: true })
  let text = ''
  let chunks = 0
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? ''
    chunks += 1
    if (chunks >= limit) break
  }
  return text
}

/** Sends a request and never reads what comes back. */
async function sendUnread({ server }: Soak, { messages, salt }: TurnInHand): Promise<Socket> {
  const model = await modelName(server)
  const body = JSON.stringify({ model, messages, cache_salt: salt, stream: true, ignore_eos: true, max_tokens: UNREAD_TOKENS })
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => socket.destroy())
  socket.pause()
  const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json`
  socket.write(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  return socket
}

/** One turn; resolves to whether the conversation goes on. */
async function takeTurn(soak: Soak, turn: TurnInHand, unread: Socket[]): Promise<boolean> {
  const behaviour = soak.random.pick(MIX)
  soak.seen[behaviour] += 1
  if (behaviour === 'not read') {
    unread.push(await sendUnread(soak, turn))
    return false
  }
  if (behaviour === 'broken off') {
    await readStream(soak, turn, 1 + soak.random.below(4))
    return false
  }
  const text = behaviour === 'whole' ? await readWhole(soak, turn) : await readStream(soak, turn)
  if (text !== turn.expected) soak.wrong.push(`${JSON.stringify(text)}, not ${JSON.stringify(turn.expected)}`)
  await soak.answered()
  return true
}

async function playConversation(soak: Soak, unread: Socket[]): Promise<void> {
  const { script, answers } = soak.random.pick(soak.scripts)
  const salt = `copy ${soak.random.below(SALTS)}`
  const messages: Message[] = [{ role: 'system', content: script.system }]
  for (const [index, expected] of answers.entries()) {
    messages.push({ role: 'user', content: script.questions[index] ?? '' })
    const goesOn = await takeTurn(soak, { messages, expected, salt }, unread)
    if (!goesOn || soak.isOver()) return
    messages.push({ role: 'assistant', content: expected })
  }
}

/** Plays conversations until the soak is over; a connection that is not read is dropped after the next conversation. */
export async function runClient(soak: Soak): Promise<void> {
  while (!soak.isOver()) {
    const unread: Socket[] = []
    await playConversation(soak, unread)
    if (unread.length > 0 && !soak.isOver()) await playConversation(soak, unread)
    for (const socket of unread) socket.destroy()
  }
}
