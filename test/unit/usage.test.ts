// Tokens of an answer, as OpenAI counts them: the token that ended it is one of them.

import test from 'ava'
import { chat, readTurn, simulatedService, type Answer } from '../support/simulated-service.js'
import type { TurnRequest } from '../../ts/service/types.js'

async function ask(text: string, rest: Partial<TurnRequest>): Promise<{ answer: Answer; total: number }> {
  const { service, close } = simulatedService()
  const answer = await readTurn(await service.start(chat([{ role: 'user', content: text }], rest)))
  const total = service.counters().completionTokens
  await close()
  if (answer === null) throw new Error('the turn was cancelled')
  return { answer, total }
}

test('the token that ends an answer is counted, and is no part of the answer', async (t) => {
  const ends = new Set<string>()
  for (let i = 0; i < 40; i++) {
    const { answer, total } = await ask(`Question ${i}`, { maxTokens: 24 })
    const { tokens, finish, usage } = answer
    t.is(usage.completionTokens, tokens.length + (finish === 'stop' ? 1 : 0), `${i}: ${finish}`)
    t.true(usage.completionTokens <= 24)
    t.is(total, usage.completionTokens)
    ends.add(finish)
  }
  t.deepEqual([...ends].toSorted(), ['length', 'stop'])
})

test('an answer that ends at once has one token', async (t) => {
  const { answer: whole } = await ask('Tell me something', { ignoreEos: true, maxTokens: 8 })
  const [first, second] = whole.tokens
  if (first === undefined || second === undefined || first === second) throw new Error('the answer begins otherwise than this test needs')
  const { answer, total } = await ask('Tell me something', { ignoreEos: true, maxTokens: 8, stopTokens: [first] })
  t.deepEqual([answer.text, answer.tokens, answer.finish, answer.usage.completionTokens, total], ['', [], 'stop', 1, 1])
  const later = await ask('Tell me something', { ignoreEos: true, maxTokens: 8, stopTokens: [second] })
  t.deepEqual([later.answer.tokens, later.answer.usage.completionTokens], [[first], 2])
})

test('tokens of a stop string are counted once', async (t) => {
  const { answer: whole } = await ask('Tell me something', { ignoreEos: true, maxTokens: 8 })
  const { answer } = await ask('Tell me something', { ignoreEos: true, maxTokens: 8, stop: [whole.text.slice(-3)] })
  t.is(answer.finish, 'stop')
  t.true(answer.usage.completionTokens <= 8)
  t.is(answer.usage.completionTokens, answer.tokens.length)
})
