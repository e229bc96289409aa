// Conversations of several clients with a server, so that its pages have something to show.

import { ask, type Message } from '../support/conversation.js'
import type { TestServer } from '../support/server.js'

export interface TrafficOptions {
  readonly clients: number
  readonly turns: number
  /** Sentences of a question. */
  readonly sentences?: number
}

const QUESTION = 'Please say something about the weather on the coast. '

async function converse(server: TestServer, client: number, { turns, sentences = 12 }: TrafficOptions): Promise<void> {
  const messages: Message[] = [{ role: 'system', content: 'You answer briefly. '.repeat(10) }]
  for (let turn = 0; turn < turns; turn++) {
    messages.push({ role: 'user', content: `Client ${client}, turn ${turn}. ${QUESTION.repeat(sentences)}` })
    const { text } = await ask(server, messages, { max_tokens: 12, seed: client, conversation: `client-${client}` })
    messages.push({ role: 'assistant', content: text })
  }
}

/** Resolves when every client has had all its turns. */
export async function traffic(server: TestServer, options: TrafficOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.clients }, (_, client) => converse(server, client, options)))
}
