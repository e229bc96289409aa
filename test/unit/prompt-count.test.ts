// The length of a prompt, asked for without a turn; and the housekeeping of kept responses.

import test from 'ava'
import { MemoryResponses } from '../../ts/service/kept-responses.js'
import { ask, chat, simulatedService } from '../support/simulated-service.js'

test('a count encodes what the turn encodes, stored answers included, and leaves nothing behind', async (t) => {
  const { engine, service, close } = simulatedService()
  t.teardown(close)
  const encoded: string[] = []
  const encodeChat = engine.text.encodeChat.bind(engine.text)
  engine.text.encodeChat = async (...asked) => {
    encoded.push(JSON.stringify(asked.slice(0, 2), (_, value: unknown) => (value instanceof Uint32Array ? [...value] : value)))
    return encodeChat(...asked)
  }
  const question = { role: 'user', content: 'Say at length what the harbour is like.' }
  const { text, usage } = await ask(service, chat([question]))
  const request = chat([question, { role: 'assistant', content: text }, { role: 'user', content: 'Go on.' }])
  const before = service.conversations.list({ tenant: null, text: null, before: null, limit: 10 })
  const count = await service.countPrompt(request)
  t.deepEqual(service.conversations.list({ tenant: null, text: null, before: null, limit: 10 }), before)
  t.is(service.counters().requestsTotal.ok, 1)
  const again = await ask(service, request)
  t.is(count, again.usage.promptTokens)
  t.is(encoded[1], encoded[2])
  t.true(encoded[1]?.includes('"stored"'))
  t.true(count > usage.promptTokens)
  const turn = await service.start(request)
  t.is(turn.promptTokens, count)
  turn.cancel()
})

test('a kept response whose time is over leaves memory by itself', async (t) => {
  const { service, clock, close } = simulatedService({}, { responseTtlMs: 1000 })
  t.teardown(close)
  const { responses } = service
  if (!(responses instanceof MemoryResponses)) throw new Error('not in memory')
  await ask(service, chat([{ role: 'user', content: 'hello' }], { conversation: 'c' }))
  responses.keep({ tenant: '', id: 'a', conversation: 'c', input: '[]', body: '{}', items: [] }, null)
  await clock.advance(999)
  t.is(responses.size, 1)
  await clock.advance(20_000)
  t.deepEqual([responses.size, responses.bytes], [0, 0])
})

test('responses of a conversation that is no longer known are forgotten with it', async (t) => {
  const { service, close } = simulatedService({}, { maxConversations: 2 })
  t.teardown(close)
  const first = await ask(service, chat([{ role: 'user', content: 'One' }], { conversation: 'one' }))
  service.responses.keep({ tenant: '', id: 'a', conversation: first.usage.conversation, input: '[]', body: '{}', items: [] }, null)
  for (const conversation of ['two', 'three', 'four']) await ask(service, chat([{ role: 'user', content: conversation }], { conversation }))
  t.is(service.responses.find('', 'a'), null)
})
