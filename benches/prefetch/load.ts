// The arrivals at a server: conversations that come back to a history on disk, and short new ones.

import { modelName } from '../../test/support/conversation.js'
import { Random } from '../../test/support/random.js'
import type { TestServer } from '../../test/support/server.js'
import { proseOf } from '../support/prompts.js'
import { timeAnswer, type TimedAnswer } from '../support/server.js'
import { returnTo, type History } from '../ttft/history.js'

export type Arrival = () => Promise<TimedAnswer>

export interface Played extends TimedAnswer {
  /** When it was sent, in milliseconds. */
  readonly sentMs: number
}

/** Milliseconds between arrivals: exponential, from a seed. */
export function gapsOf(count: number, meanMs: number, seed: number): number[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => -meanMs * Math.log(1 - random.next()))
}

/** Sends each request when its time has come, whatever became of those before; answers in order of arrival. */
export async function play(arrivals: readonly Arrival[], gaps: readonly number[]): Promise<Played[]> {
  const answers: Promise<Played>[] = []
  for (const [i, arrive] of arrivals.entries()) {
    const sentMs = performance.now()
    answers.push(arrive().then((answer) => ({ ...answer, sentMs })))
    if (i + 1 < arrivals.length) await new Promise((resolve) => setTimeout(resolve, gaps[i] ?? 0))
  }
  return Promise.all(answers)
}

/** A new conversation of one short turn. */
export function shortChat(server: TestServer, number: number, maxTokens: number): Arrival {
  return async () => {
    const messages = [{ role: 'user', content: `Question ${number}: what does a lighthouse keeper do on a foggy morning?` }]
    return timeAnswer(server, '/v1/chat/completions', { model: await modelName(server), messages, temperature: 0, max_tokens: maxTokens })
  }
}

/** A returning turn that brings a paragraph of some 100 tokens; another `round` brings another one. */
export async function comeBack(server: TestServer, history: History, round: number, maxTokens: number): Promise<TimedAnswer> {
  const content = `${proseOf(3, 40_000 + 10 * round)} What do these notes have in common?`
  const messages = [...history.messages, { role: 'user', content }]
  return timeAnswer(server, '/v1/chat/completions', { model: await modelName(server), messages, temperature: 0, max_tokens: maxTokens })
}

export function returning(server: TestServer, history: History, round: number, maxTokens: number): Arrival {
  return () => returnTo(server, history, round, maxTokens)
}
