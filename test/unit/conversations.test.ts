import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { AnswerHash, chainNext, chainOf, chainStart, type ChainMessage } from '../../ts/conversations/chain.js'
import type { ConversationOptions, Resolution } from '../../ts/conversations/conversations.js'
import { AnswerRecords } from '../../ts/conversations/records.js'
import { openDatabase } from '../../ts/directory/database.js'
import { messageSecret } from '../../ts/directory/secret.js'
import { conversationStore } from '../support/conversation-store.js'
import { MemoryDatabase } from '../support/memory-database.js'

const DAY = 86_400_000
const SECRET = Buffer.alloc(32, 7)

/** A store whose ids are c1, c2, … and whose clock stands where it is put. */
function conversations(given: Partial<ConversationOptions> = {}) {
  const clock = { now: Date.UTC(2026, 2, 1) }
  const store = conversationStore({ secret: SECRET, now: () => clock.now, ...given })
  const resolve = (messages: readonly ChainMessage[] | null, rest: { conversation?: string; hint?: string; tenant?: string; salt?: string } = {}) =>
    store.resolve({ tenant: rest.tenant ?? '', cacheSalt: rest.salt ?? '', conversation: rest.conversation ?? null, hint: rest.hint ?? null, messages })
  const answer = (resolution: Resolution, text: string, tokens = Uint32Array.of(1, 2, 3)) => {
    store.accept(resolution)
    const hash = new AnswerHash(resolution.parent as string)
    for (const letter of text) hash.add(letter)
    const record = { tokens, bytes: text.length, reasoning: 0, whole: true }
    store.answered(resolution, { hash: hash.end(), record, length: 10, leftOut: 0, leaf: null })
  }
  return { store, clock, resolve, answer }
}

const user = (content: string): ChainMessage => ({ role: 'user', content })
const assistant = (content: string): ChainMessage => ({ role: 'assistant', content })

test('without an id, messages that end in a stored answer continue its conversation', t => {
  const { resolve, answer } = conversations()
  const first = resolve([user('hi')])
  t.is(first.id, 'c1')
  answer(first, 'hello', Uint32Array.of(5, 6))
  const second = resolve([user('hi'), assistant('hello'), user('and?')])
  t.is(second.id, 'c1')
  t.is(second.forkedFrom, null)
  t.deepEqual(second.stored.map(record => record?.tokens), [undefined, Uint32Array.of(5, 6), undefined])
})

test('messages that go on from an earlier answer fork the conversation', t => {
  const { store, resolve, answer } = conversations()
  answer(resolve([user('hi')]), 'hello')
  answer(resolve([user('hi'), assistant('hello'), user('a')]), 'A')
  const fork = resolve([user('hi'), assistant('hello'), user('b')])
  t.is(fork.id, 'c2')
  t.is(fork.forkedFrom, 'c1')
  answer(fork, 'B')
  t.is(store.get('', 'c2')?.forkedFrom, 'c1')
  t.is(resolve([user('hi'), assistant('hello'), user('b'), assistant('B'), user('c')]).id, 'c2')
})

test('an answer that was edited, or another tenant’s, matches nothing', t => {
  const { resolve, answer } = conversations()
  answer(resolve([user('hi')]), 'hello')
  t.is(resolve([user('hi'), assistant('hello!'), user('x')]).id, 'c2')
  const stranger = resolve([user('hi'), assistant('hello'), user('x')], { tenant: 'other' })
  t.is(stranger.id, 'c3')
  t.deepEqual(stranger.stored, [undefined, undefined, undefined])
})

test('an answer is found with its cache salt only, and none is a salt too', t => {
  const salts = ['', 'one', 'two']
  for (const salt of salts) {
    const { resolve, answer } = conversations()
    answer(resolve([user('hi')], { salt }), 'hello')
    const found = salts.map(other => resolve([user('hi'), assistant('hello'), user('x')], { salt: other }))
    t.deepEqual(found.map(({ id }) => id === 'c1'), salts.map(other => other === salt))
    t.deepEqual(found.map(({ continues }) => continues !== null), salts.map(other => other === salt))
    t.deepEqual(found.map(({ stored }) => stored[1] !== undefined), salts.map(other => other === salt))
  }
})

test('turns of one id with different salts share the id and nothing else', t => {
  const { store, clock, resolve, answer } = conversations()
  const salts = ['one', '', 'two']
  for (const salt of salts) {
    const first = resolve([user('hi')], { conversation: 'mine', salt })
    t.is(first.date, new Date(clock.now).toISOString().slice(0, 10))
    answer(first, `hello ${salt}`)
    clock.now += DAY
  }
  t.is(store.size, 1)
  t.is(store.get('', 'mine')?.turns, 3)
  for (const [i, salt] of salts.entries()) {
    const next = resolve([user('hi'), assistant(`hello ${salt}`), user('x')], { salt })
    t.like(next, { id: 'mine', forkedFrom: null, date: `2026-03-0${1 + i}` })
  }
})

test('branches that one salt makes of a conversation push out no tip of another', t => {
  const { resolve, answer } = conversations()
  answer(resolve([user('hi')], { conversation: 'mine' }), 'hello')
  for (let branch = 0; branch < 100; branch++) answer(resolve([user(`hi ${branch}`)], { conversation: 'mine', salt: 'other' }), 'hello')
  t.is(resolve([user('hi'), assistant('hello'), user('x')]).id, 'mine')
  t.not(resolve([user('hi 0'), assistant('hello'), user('x')], { salt: 'other' }).id, 'mine')
})

test('of too many salts of one conversation, the longest unused is forgotten', t => {
  const { clock, resolve, answer } = conversations()
  for (let salt = 0; salt < 17; salt++) answer(resolve([user('hi')], { conversation: 'mine', salt: `${salt}` }), 'hello')
  clock.now += DAY
  const dateOf = (salt: string) => resolve([user('hi')], { conversation: 'mine', salt }).date
  t.deepEqual(['0', '1', '16'].map(dateOf), ['2026-03-02', '2026-03-01', '2026-03-01'])
})

test('a fork that an operator makes goes on for the salt of the last turn', t => {
  const { store, clock, resolve, answer } = conversations()
  for (const salt of ['', 'one']) answer(resolve([user('hi')], { conversation: 'mine', salt }), 'hello')
  const origin = store.get('', 'mine')
  t.truthy(origin)
  const fork = origin && store.fork(origin)
  clock.now += DAY
  const dates = ['', 'one', 'two'].map(salt => resolve([user('hi'), assistant('hello'), user('x')], { conversation: fork?.id ?? '', salt }).date)
  t.deepEqual(dates, ['2026-03-01', '2026-03-01', '2026-03-02'])
})

test('an id names the conversation, whatever the messages match', t => {
  const { store, resolve, answer } = conversations()
  answer(resolve([user('hi')], { conversation: 'mine' }), 'hello')
  answer(resolve([user('hi'), assistant('hello'), user('a')], { conversation: 'mine' }), 'A')
  const branch = resolve([user('hi'), assistant('hello'), user('b')], { conversation: 'mine' })
  t.is(branch.id, 'mine')
  answer(branch, 'B')
  t.is(store.get('', 'mine')?.tips.length, 2)
  for (const [said, answered] of [['a', 'A'], ['b', 'B']] as const) {
    t.is(resolve([user('hi'), assistant('hello'), user(said), assistant(answered), user('more')]).id, 'mine')
  }
})

test('a hint names a new conversation, and yields to a match', t => {
  const { resolve, answer } = conversations()
  const first = resolve([user('hi')], { hint: 'key' })
  t.is(first.id, 'key')
  answer(first, 'hello')
  t.is(resolve([user('hi'), assistant('hello'), user('x')], { hint: 'another' }).id, 'key')
  t.is(resolve([user('hey')], { hint: 'not a valid name' }).id, 'c1')
})

test('the date stays that of the conversation’s first day, and a fork takes it over', t => {
  const { clock, resolve, answer } = conversations()
  const first = resolve([user('hi')])
  t.is(first.date, '2026-03-01')
  answer(first, 'hello')
  answer(resolve([user('hi'), assistant('hello'), user('a')]), 'A')
  clock.now += 3 * DAY
  t.is(resolve([user('hi'), assistant('hello'), user('a'), assistant('A'), user('b')]).date, '2026-03-01')
  t.is(resolve([user('hi'), assistant('hello'), user('fork')]).date, '2026-03-01')
  t.is(resolve([user('new')]).date, '2026-03-04')
})

test('a raw prompt gets a conversation, and no chain', t => {
  const { store, resolve } = conversations()
  const resolution = resolve(null)
  store.accept(resolution)
  const record = { tokens: new Uint32Array(), bytes: 0, reasoning: 0, whole: true }
  store.answered(resolution, { hash: null, record, length: 10, leftOut: 0, leaf: null })
  t.is(resolution.parent, null)
  t.is(store.get('', 'c1')?.turns, 1)
})

test('a request that is not accepted leaves nothing behind', t => {
  const { store, resolve } = conversations()
  resolve([user('hi')], { conversation: 'mine' })
  t.is(store.size, 0)
})

test('an erased conversation and its answers are forgotten', t => {
  const { store, resolve, answer } = conversations()
  answer(resolve([user('hi')]), 'hello')
  t.is(store.erase('', 'c1'), 1)
  t.is(store.erase('', 'c1'), null)
  t.deepEqual(resolve([user('hi'), assistant('hello'), user('x')]).stored, [undefined, undefined, undefined])
})

test('over the bound the longest unused records and conversations go', t => {
  const { store, resolve, answer } = conversations({ maxRecordBytes: 3 * 300, maxConversations: 3 })
  for (const name of ['a', 'b', 'c']) answer(resolve([user(name)]), `answer ${name}`)
  resolve([user('a'), assistant('answer a'), user('x')])
  answer(resolve([user('d')]), 'answer d')
  const isKnown = (name: string) => resolve([user(name), assistant(`answer ${name}`), user('x')]).stored[1] !== undefined
  t.deepEqual(['a', 'b', 'c', 'd'].map(isKnown), [true, false, true, true])
  t.is(store.size, 3)
})

test('after a restart too the oldest records go first where the bound is reached', t => {
  const table = new MemoryDatabase().table('answers')
  // In another order than that of their keys.
  const names = ['d', 'b', 'a', 'c'].map(name => name.repeat(32))
  const record = { conversation: 'mine', tokens: new Uint32Array(10), bytes: 1, reasoning: 0, whole: true }
  const before = new AnswerRecords(table, 1e6)
  for (const name of names) before.put(name, record)
  const after = new AnswerRecords(table, 2 * 300)
  t.deepEqual(names.map(name => after.get(name) !== undefined), [false, false, true, true])
  after.put('e'.repeat(32), record)
  const again = new AnswerRecords(table, 2 * 300)
  t.deepEqual([...names, 'e'.repeat(32)].map(name => again.get(name) !== undefined), [false, false, false, true, true])
  t.is([...table.entries()].length, 2, 'what goes leaves the table')
})

test('conversations and answers survive a restart, and no text lies in the store', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'attentionstore-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const secret = messageSecret(dir)
  t.is(statSync(join(dir, 'messages.key')).mode & 0o777, 0o600)
  const database = openDatabase(dir)
  const { resolve, answer } = conversations({ database, secret })
  answer(resolve([user('hi')], { conversation: 'mine' }), 'a most peculiar answer', Uint32Array.of(7, 8, 9))
  await database.close()

  const again = openDatabase(dir)
  const found = conversations({ database: again, secret: messageSecret(dir) })
  const resolution = found.resolve([user('hi'), assistant('a most peculiar answer'), user('x')])
  t.is(resolution.id, 'mine')
  t.deepEqual(resolution.stored[1]?.tokens, Uint32Array.of(7, 8, 9))
  for (const table of ['answers', 'conversations']) {
    for (const { value } of again.table(table).entries()) t.false(Buffer.from(value).includes('peculiar'))
  }
  await again.close()
})

test('what turns with a salt made of a conversation survives a restart, and no salt lies in the store', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'attentionstore-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const database = openDatabase(dir)
  const { resolve, answer } = conversations({ database })
  answer(resolve([user('hi')], { conversation: 'mine', salt: 'peculiar' }), 'hello')
  await database.close()

  const again = openDatabase(dir)
  const found = conversations({ database: again })
  found.clock.now += DAY
  t.like(found.resolve([user('hi'), assistant('hello'), user('x')], { salt: 'peculiar' }), { id: 'mine', date: '2026-03-01' })
  t.is(found.resolve([user('hi')], { conversation: 'mine' }).date, '2026-03-02')
  for (const table of ['answers', 'conversations']) {
    for (const { value } of again.table(table).entries()) t.false(Buffer.from(value).includes('peculiar'))
  }
  await again.close()
})

test('chains differ by everything that decides the tokens', t => {
  const starts = [
    chainStart(SECRET, '', 'text', ''),
    chainStart(SECRET, 'tenant', 'text', ''),
    chainStart(SECRET, '', 'other text', ''),
    chainStart(SECRET, '', 'text', 'tools'),
    chainStart(SECRET, '', 'text', '', 'salt'),
    chainStart(SECRET, '', 'text', '', 'tools'),
    chainStart(Buffer.alloc(32, 8), '', 'text', ''),
  ]
  t.is(new Set(starts).size, starts.length)
  const start = starts[0] as string
  const messages = [user('ab'), assistant('ab'), { ...user('ab'), name: 'n' }, user('a'), { role: 'usera', content: 'b' }]
  t.is(new Set(messages.map(message => chainNext(start, message))).size, messages.length)
})

test('an answer hashed piece by piece ends where the whole message does', t => {
  const [parent, end] = chainOf(chainStart(SECRET, '', '', ''), [user('hi'), assistant('naïve 🦊 answer')]) as [string, string]
  const hash = new AnswerHash(parent)
  for (const piece of ['na', 'ïve 🦊', '', ' answer']) hash.add(piece)
  t.is(hash.end(), end)
})
