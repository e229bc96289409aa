// A `prompt_cache_key` that an application sends for all its users.

import test from 'ava'
import { AnswerHash, type ChainMessage } from '../../ts/conversations/chain.js'
import type { Resolution } from '../../ts/conversations/conversations.js'
import { MOST_OPENINGS } from '../../ts/conversations/strand.js'
import { conversationStore } from '../support/conversation-store.js'
import { MemoryDatabase } from '../support/memory-database.js'
import { ask, chat, simulatedService } from '../support/simulated-service.js'

const KEY = 'app'

interface Rest {
  readonly tenant?: string
  readonly salt?: string
  readonly system?: string
}

/** A store whose ids are c1, c2, …; `database`: what an earlier one has left. */
function conversations(database = new MemoryDatabase()) {
  const store = conversationStore({ database })
  const resolve = (messages: readonly ChainMessage[] | null, { tenant = '', salt = '' }: Rest = {}): Resolution =>
    store.resolve({ tenant, cacheSalt: salt, conversation: null, hint: KEY, messages })
  const answer = (resolution: Resolution, text: string): Resolution => {
    store.accept(resolution)
    const hash = new AnswerHash(resolution.parent ?? '')
    hash.add(text)
    store.answered(resolution, { hash: hash.end(), record: { tokens: Uint32Array.of(1), bytes: 1, reasoning: 0, whole: true }, length: 10, leftOut: 0, leaf: null })
    return resolution
  }
  /** A first turn of the user `name`, answered. */
  const begin = (name: string, rest: Rest = {}): string => answer(resolve(opening(name, rest), rest), `hello ${name}`).id
  return { database, resolve, answer, begin }
}

const opening = (name: string, { system = 'be kind' }: Rest = {}): ChainMessage[] => [
  { role: 'system', content: system },
  { role: 'user', content: `I am ${name}` },
]
const users = (count: number): string[] => Array.from({ length: count }, (_, i) => `user ${i}`)

test('a key that more than eight unlike histories share names none of them any more', t => {
  const { begin, resolve } = conversations()
  t.is(MOST_OPENINGS, 8)
  for (const name of users(8)) t.is(begin(name), KEY, name)
  t.deepEqual(['a', 'b', 'c'].map(name => begin(name)), ['c1', 'c2', 'c3'])
  // One of the eight, again, is a history of its own too; its continuation goes on where it was.
  t.is(begin('user 0'), 'c4')
  const next = resolve([...opening('user 5'), { role: 'assistant', content: 'hello user 5' }, { role: 'user', content: 'and?' }])
  t.deepEqual([next.id, next.forkedFrom], [KEY, null])
  const own = resolve([...opening('b'), { role: 'assistant', content: 'hello b' }, { role: 'user', content: 'and?' }])
  t.deepEqual([own.id, own.forkedFrom], ['c2', null])
})

test('the turns of one history never use a key up, whatever the system prompt and the later messages are', t => {
  const { begin, answer, resolve } = conversations()
  for (let i = 0; i < 40; i++) {
    t.is(begin('one user', { system: `it is ${i} o'clock` }), KEY)
    t.is(answer(resolve([...opening('one user'), { role: 'assistant', content: `not stored ${i}` }, { role: 'user', content: `${i}` }]), 'x').id, KEY)
  }
})

test('a request that is never taken does not count', t => {
  const { begin, resolve } = conversations()
  for (const name of users(40)) t.is(resolve(opening(name)).id, KEY)
  t.is(begin('somebody'), KEY)
})

test('a shared key is still known as one after a restart, and so are the histories that it has brought', t => {
  const first = conversations()
  for (const name of users(6)) first.begin(name)
  const second = conversations(first.database)
  t.is(second.begin('user 3'), KEY)
  for (const name of ['a', 'b']) t.is(second.begin(name), KEY, name)
  t.is(second.begin('c'), 'c1')
  const third = conversations(first.database)
  t.is(third.resolve(opening('user 0')).id, 'c1')
  t.is(third.resolve(opening('d')).id, 'c2')
})

test('tenants and salts use a key up each for themselves', t => {
  const { begin } = conversations()
  for (const name of users(12)) begin(name)
  for (const rest of [{ tenant: 'other' }, { salt: 'pepper' }]) {
    for (const name of users(8)) t.is(begin(name, rest), KEY, JSON.stringify(rest))
    t.not(begin('a', rest), KEY)
  }
})

test('raw prompts, which have no messages, are named by the key', t => {
  const { resolve } = conversations()
  for (let i = 0; i < 12; i++) t.is(resolve(null).id, KEY)
})

test('the service counts requests whose key names nothing, and an explicit id always names its conversation', async t => {
  const { service, close } = simulatedService()
  const asked = (name: string, conversation: string | null = null) =>
    ask(service, chat([{ role: 'user', content: name }], { conversationHint: KEY, conversation, maxTokens: 4 }))
  const named: string[] = []
  for (const name of users(11)) named.push((await asked(name)).usage.conversation)
  t.is(named.filter(id => id === KEY).length, 8)
  t.is(new Set(named).size, 4)
  t.is(service.counters().sharedKeyRequests, 3)
  t.is((await asked('x', 'mine')).usage.conversation, 'mine')
  t.is((await asked('y', KEY)).usage.conversation, KEY)
  t.is(service.counters().sharedKeyRequests, 3)
  await close()
})
