import test, { type ExecutionContext } from 'ava'
import { settled } from '../../../testing/http.js'
import { inScope } from '../../../testing/scope.js'
import { NEW_SETTINGS } from '../settings/chat-settings.js'
import { NEW_ANSWER, withEntry, type Chat } from './chat.js'
import type { ChatRecord } from './chat-record.js'
import type { ChatStore } from './chat-store.js'
import { MAX_CHATS, useChats } from './use-chats.js'

class MemoryStore implements ChatStore {
  readonly records = new Map<string, unknown>()
  failure: Error | null = null
  isClosed = false
  load = async () => [...this.records.values()]
  save = async (record: ChatRecord) => {
    if (this.failure) throw this.failure
    this.records.set(record.id, structuredClone(record))
  }
  remove = async (ids: readonly string[]) => ids.forEach((id) => this.records.delete(id))
  removeAll = async () => this.records.clear()
  close = () => void (this.isClosed = true)
}

let ids = 0
let clock = 0
const visit = async (t: ExecutionContext, store: MemoryStore, left: { id: string | null } = { id: null }) => {
  const { result, end } = inScope(t, () =>
    useChats({
      openStore: async () => store,
      lastOpen: { get: () => left.id, set: (id) => void (left.id = id) },
      newId: () => `chat-${(ids += 1)}`,
      now: () => (clock += 1),
    }),
  )
  await result.loaded
  return { chats: result, end, left }
}
const asked = (text: string) => (chat: Chat) => withEntry(chat, chat.tip, { role: 'user', text }, (clock += 1))

test('a chat outlives the visit, with its settings; an empty one does not', async (t) => {
  const store = new MemoryStore()
  const { chats, end, left } = await visit(t, store)
  t.is(store.records.size, 0)
  const { id } = chats.current.value
  chats.change(id, (chat) => ({ ...chat, settings: { ...NEW_SETTINGS, system: 'Be kind.' } }))
  chats.change(id, asked('Hello?'))
  chats.begin()
  t.is(chats.current.value.settings.system, 'Be kind.')
  chats.open(id)
  end()
  t.true(store.isClosed)
  const again = await visit(t, store, left)
  t.like(again.chats.current.value, { id, title: 'Hello?', settings: { system: 'Be kind.' } })
  t.is(again.chats.chats.value.length, 1)
})

test('a window comes back to the chat that it had open, another one to the latest, and a new one stays new', async (t) => {
  const store = new MemoryStore()
  const { chats, left } = await visit(t, store)
  const first = chats.current.value.id
  chats.change(first, asked('one'))
  chats.begin()
  const second = chats.current.value.id
  chats.change(second, asked('two'))
  t.is((await visit(t, store, { id: first })).chats.current.value.id, first)
  t.is((await visit(t, store)).chats.current.value.id, second)
  chats.begin()
  const fresh = await visit(t, store, left)
  t.is(fresh.chats.current.value.entries.length, 0)
  t.is(fresh.chats.chats.value.length, 3)
})

test('changes that follow each other closely are stored together, and the last of them is', async (t) => {
  const store = new MemoryStore()
  const { chats, end } = await visit(t, store)
  const { id } = chats.current.value
  chats.change(id, asked('q'))
  chats.change(id, (chat) => withEntry(chat, 0, { ...NEW_ANSWER, text: 'a' }, 1), 'soon')
  const stored = () => (store.records.get(id) as ChatRecord).chat.entries.length
  await settled()
  t.is(stored(), 1)
  end()
  t.is(stored(), 2)
})

test('only the latest chats are kept', async (t) => {
  const store = new MemoryStore()
  const { chats } = await visit(t, store)
  const first = chats.current.value.id
  for (let chat = 0; chat < MAX_CHATS + 2; chat += 1) {
    chats.change(chats.current.value.id, asked('q'))
    chats.begin()
  }
  await settled()
  t.is(chats.chats.value.length, MAX_CHATS)
  t.true(store.records.size <= MAX_CHATS)
  t.false(store.records.has(first))
})

test('damaged chats are told of and leave the others as they are', async (t) => {
  const store = new MemoryStore()
  const { chats } = await visit(t, store)
  chats.change(chats.current.value.id, asked('whole'))
  store.records.set('x', { id: 'x', version: 1, chat: { id: 'x', entries: [{}] } })
  store.records.set('y', { id: 'y', version: 99 })
  const again = await visit(t, store)
  t.is(again.chats.chats.value.length, 1)
  t.is(again.chats.current.value.title, 'whole')
  t.is(again.chats.trouble.value, '1 stored chat is damaged and cannot be shown. 1 stored chat is of a later version of this page.')
})

test('a browser that keeps nothing says so, and the chat goes on', async (t) => {
  const { result: chats } = inScope(t, () =>
    useChats({
      openStore: () => Promise.reject(new Error('no storage in private windows')),
      lastOpen: { get: () => null, set: () => {} },
      newId: () => 'a',
      now: () => 1,
    }),
  )
  await chats.loaded
  t.regex(chats.trouble.value, /keeps no chats.*private windows/)
  chats.change('a', asked('q'))
  t.is(chats.current.value.entries.length, 1)
})

test('a full store is told of', async (t) => {
  const store = new MemoryStore()
  const { chats } = await visit(t, store)
  store.failure = new Error('the quota is used up')
  chats.change(chats.current.value.id, asked('q'))
  await settled()
  t.regex(chats.trouble.value, /did not keep the last change: the quota/)
})

test('a chat that is deleted is gone from the store too, and so are all of them', async (t) => {
  const store = new MemoryStore()
  const { chats } = await visit(t, store)
  const { id } = chats.current.value
  chats.change(id, asked('q'))
  chats.fork(0)
  t.is(store.records.size, 2)
  chats.remove(chats.current.value.id)
  await settled()
  t.deepEqual([...store.records.keys()], [id])
  t.is(chats.current.value.id, id)
  chats.removeAll()
  await settled()
  t.is(store.records.size, 0)
  t.deepEqual(chats.current.value.entries, [])
})

test('a name that the user gave stays, a blank one is none', async (t) => {
  const { chats } = await visit(t, new MemoryStore())
  const { id } = chats.current.value
  chats.change(id, asked('q'))
  chats.rename(id, '  Mine ')
  chats.rename(id, '  ')
  t.is(chats.current.value.title, 'Mine')
})
