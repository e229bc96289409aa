// Responses in memory, held against a model that copies every thread whole.

import test from 'ava'
import { conversationKey } from '../../ts/conversations/registry.js'
import { MemoryResponses } from '../../ts/service/kept-responses.js'
import type { KeptResponse, ResponseThread } from '../../ts/service/types.js'
import { Random } from '../support/random.js'

const TTL = 1000

function response(id: string, more: Partial<KeptResponse> = {}): KeptResponse {
  return { tenant: 'acme', id, conversation: 'c', input: `["in ${id}"]`, body: `{"out":"${id}"}`, items: [`item-${id}`], ...more }
}

function open(maxBytes = 1 << 20) {
  let now = 0
  const responses = new MemoryResponses({ maxBytes, ttlMs: TTL, now: () => now })
  return { responses, pass: (ms: number) => (now += ms) }
}

const ids = (thread: ResponseThread | null): string[] | null => thread?.responses.map(({ id }) => id) ?? null

test('a response is found by its id and by its items, by its tenant only', (t) => {
  const { responses } = open()
  responses.keep(response('a'), null)
  t.is(responses.find('acme', 'a')?.body, '{"out":"a"}')
  t.is(responses.ownerOf('acme', 'item-a')?.id, 'a')
  for (const tenant of ['', 'other', 'acme\0a']) {
    t.is(responses.find(tenant, 'a'), null)
    t.is(responses.ownerOf(tenant, 'item-a'), null)
    t.is(responses.thread(tenant, 'a'), null)
    t.false(responses.forget(tenant, 'a'))
  }
})

test('a thread is whole after the responses before its last one were forgotten, and costs its bytes until that one is', (t) => {
  const { responses } = open()
  responses.keep(response('a'), null)
  responses.keep(response('b'), responses.thread('acme', 'a'))
  responses.keep(response('c'), responses.thread('acme', 'b'))
  const { bytes } = responses
  t.true(responses.forget('acme', 'a'))
  t.true(responses.forget('acme', 'b'))
  t.is(responses.find('acme', 'a'), null)
  t.is(responses.ownerOf('acme', 'item-b'), null)
  t.deepEqual(ids(responses.thread('acme', 'c')), ['a', 'b', 'c'])
  t.is(responses.bytes, bytes)
  t.true(responses.forget('acme', 'c'))
  t.is(responses.bytes, 0)
  t.false(responses.forget('acme', 'c'))
})

test('what is not used for its time is gone, and its text with it', (t) => {
  const { responses, pass } = open()
  responses.keep(response('a'), null)
  responses.keep(response('b'), null)
  pass(TTL - 1)
  t.truthy(responses.find('acme', 'a'))
  pass(1)
  t.is(responses.find('acme', 'b'), null)
  t.truthy(responses.find('acme', 'a'))
  pass(TTL)
  responses.expire()
  t.is(responses.size, 0)
  t.is(responses.bytes, 0)
})

test('at the bound the least recently used go, and one that is larger than the bound is not kept', (t) => {
  const { responses } = open(5000)
  for (const id of ['a', 'b', 'c', 'd']) responses.keep(response(id), null)
  t.is(responses.size, 4)
  responses.find('acme', 'a')
  responses.keep(response('e'), null)
  t.deepEqual(['a', 'b', 'c', 'd', 'e'].filter((id) => responses.find('acme', id)), ['a', 'c', 'd', 'e'])
  t.true(responses.bytes <= 5000)
  responses.keep(response('large', { body: 'x'.repeat(5000) }), null)
  t.is(responses.find('acme', 'large'), null)
  t.is(responses.size, 4)
  const { responses: none } = open(0)
  none.keep(response('a'), null)
  t.is(none.size, 0)
})

test('a tenant that has no more than an equal share of the bytes loses nothing to others, and one alone may have all', (t) => {
  const { responses } = open(12_000)
  const texts = (tenant: string, count: number, from = 0) => {
    for (let at = from; at < from + count; at++) responses.keep(response(`r${at}`, { tenant, conversation: tenant }), null)
  }
  const left = (tenant: string) => Array.from({ length: 40 }, (_, at) => `r${at}`).filter((id) => responses.find(tenant, id)).length
  texts('loud', 30)
  const all = left('loud')
  t.true(all >= 10, `${all} of one tenant alone`)
  texts('quiet', 4)
  t.is(left('quiet'), 4)
  texts('loud', 10, 30)
  t.deepEqual([left('quiet'), left('loud')], [4, all - 4])
  t.truthy(responses.find('loud', 'r39'))
  texts('third', 3)
  t.deepEqual([left('quiet'), left('third')], [4, 3])
  texts('quiet', 20, 4)
  t.is(left('third'), 3)
  t.true(Math.abs(left('quiet') - left('loud')) <= 1)
})

test('erasing a conversation forgets its responses, and nothing goes on from one that a running turn still holds', (t) => {
  const { responses } = open()
  responses.keep(response('a'), null)
  responses.keep(response('b'), responses.thread('acme', 'a'))
  responses.keep(response('other', { conversation: 'd' }), null)
  responses.keep(response('foreign', { tenant: 'umbrella' }), null)
  const held = responses.thread('acme', 'b')
  t.is(responses.eraseConversation(conversationKey('acme', 'c')), 2)
  t.is(responses.find('acme', 'b'), null)
  t.truthy(responses.find('acme', 'other'))
  t.truthy(responses.find('umbrella', 'foreign'))
  responses.keep(response('late'), held)
  t.is(responses.find('acme', 'late'), null)
})

test('any sequence of uses keeps threads whole, other tenants out, and the bytes those of the texts that are needed', (t) => {
  const seed = Number(process.env['KEPT_RESPONSES_SEED'] ?? 7)
  t.log(`KEPT_RESPONSES_SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 20; round++) {
    const maxBytes = 4000 + random.below(20_000)
    const { responses, pass } = open(maxBytes)
    const threads = new Map<string, string[]>()
    const owners = new Map<string, string>()
    for (let use = 0; use < 120; use++) {
      const tenant = ['acme', 'umbrella'][random.below(2)] as string
      const id = `r${random.below(40)}`
      const key = `${tenant} ${id}`
      switch (random.below(6)) {
        case 0:
        case 1:
        case 2: {
          if (threads.has(key)) break
          const before = responses.thread(tenant, `r${random.below(40)}`)
          const conversation = `c${random.below(4)}`
          responses.keep(response(id, { tenant, conversation, body: 'x'.repeat(random.below(900)) }), before)
          threads.set(key, [...(ids(before) ?? []), id])
          owners.set(key, conversation)
          break
        }
        case 3:
          responses.forget(tenant, id)
          break
        case 4:
          pass(random.below(TTL / 2))
          break
        case 5:
          responses.eraseConversation(conversationKey(tenant, `c${random.below(4)}`))
      }
      t.true(responses.bytes <= maxBytes, `round ${round}, use ${use}`)
      const found = responses.find(tenant, id)
      if (found) t.deepEqual([ids(responses.thread(tenant, id)), found.conversation], [threads.get(key), owners.get(key)])
      if (found === null) t.is(responses.thread(tenant, id), null)
    }
    pass(TTL)
    responses.expire()
    t.deepEqual([responses.size, responses.bytes], [0, 0])
  }
})
