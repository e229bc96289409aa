// A conversation with a history of a given length, and returning turns that add a few tokens to it.

import { modelName, type Message } from '../../test/support/conversation.js'
import { tokensOf, type TestServer } from '../../test/support/server.js'
import { proseOf } from '../support/prompts.js'
import { timeAnswer, type TimedAnswer } from '../support/server.js'

const ROUTE = '/v1/chat/completions'
const ANSWER_TOKENS = 16
/** Tokens of the template around the first turn, its default system prompt included. */
const TEMPLATE_TOKENS = 38
/** Rounds of lengthening or shortening a text by whole words. */
const FITTING_ROUNDS = 4

/** Text of `tokens` tokens, a word more or less; another `start` gives another text. */
async function textOf(server: TestServer, tokens: number, start: number): Promise<string> {
  const words = proseOf(400, start).split(' ')
  let count = Math.round(tokens / 2)
  for (let round = 0; round < FITTING_ROUNDS; round += 1) {
    const has = (await tokensOf(server, words.slice(0, count).join(' '))).length
    count += Math.round(((tokens - has) * count) / has)
  }
  return words.slice(0, count).join(' ')
}

export interface History {
  readonly messages: readonly Message[]
  /** Prompt and answer tokens of its only turn. */
  readonly tokens: number
}

/**
 * Plays the first turn; both servers of a comparison may be given the same history. Histories with another `start` share
 * nothing with it but the system prompt.
 */
export async function playHistory(server: TestServer, tokens: number, start = 0): Promise<History> {
  const question: Message = { role: 'user', content: await textOf(server, tokens - ANSWER_TOKENS - TEMPLATE_TOKENS, start) }
  const options = { temperature: 0, max_tokens: ANSWER_TOKENS }
  const response = await server.client.chat.completions.create({ model: await modelName(server), messages: [question], ...options })
  const text = response.choices[0]?.message.content ?? ''
  return { messages: [question, { role: 'assistant', content: text }], tokens: response.usage?.total_tokens ?? 0 }
}

/** A returning turn; `round` makes its question one that was never asked before. */
export async function returnTo(server: TestServer, history: History, round: number, maxTokens = 1): Promise<TimedAnswer> {
  const content = `Round ${100 + round}: which of these notes is about water, and does it name a season? Answer in one short sentence, please.`
  const messages = [...history.messages, { role: 'user', content }]
  return timeAnswer(server, ROUTE, { model: await modelName(server), messages, temperature: 0, max_tokens: maxTokens })
}
