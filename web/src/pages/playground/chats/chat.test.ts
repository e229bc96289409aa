import test from 'ava'
import fc from 'fast-check'
import { NEW_SETTINGS } from '../settings/chat-settings.js'
import { forkOf, NEW_ANSWER, newChat, openCalls, pathOf, siblingsOf, withAnswer, withBranch, withEntry, withoutAnswer, type Chat } from './chat.js'
import { titleOf } from './title.js'

const asked = (chat: Chat, text: string, parent = chat.tip) => withEntry(chat, parent, { role: 'user', text }, 2)
const answered = (chat: Chat, text: string, parent = chat.tip) =>
  withEntry(chat, parent, { ...NEW_ANSWER, text, state: 'ended', finish: 'stop' }, 3)
const textsOf = (chat: Chat) => pathOf(chat).map(({ text }) => text)
const talk = () => answered(asked(answered(asked(newChat('a', NEW_SETTINGS, 1), 'q1'), 'a1'), 'q2'), 'a2')

test('a second answer stands beside the first, and either can be shown', (t) => {
  const chat = answered(talk(), 'a2, again', 2)
  t.deepEqual(textsOf(chat), ['q1', 'a1', 'q2', 'a2, again'])
  t.deepEqual(siblingsOf(chat, { parent: 2 }), [3, 4])
  t.deepEqual(textsOf(withBranch(chat, 3)), ['q1', 'a1', 'q2', 'a2'])
})

test('a changed question begins a branch; the way back to the old one leads to its end', (t) => {
  const chat = answered(asked(talk(), 'q1, changed', null), 'another')
  t.deepEqual(textsOf(chat), ['q1, changed', 'another'])
  t.deepEqual(siblingsOf(chat, { parent: null }), [0, 4])
  t.deepEqual(textsOf(withBranch(chat, 0)), ['q1', 'a1', 'q2', 'a2'])
})

test('any entry can be shown, and the branch through it ends where nothing follows', (t) => {
  const property = fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 40 }), fc.nat(), (parents, wanted) => {
    let chat = newChat('a', NEW_SETTINGS, 1)
    for (const parent of parents) chat = asked(chat, 'x', chat.entries.length === 0 || parent % 7 === 0 ? null : parent % chat.entries.length)
    const id = wanted % chat.entries.length
    const path = pathOf(withBranch(chat, id))
    t.true(path.some((entry) => entry.id === id))
    t.false(chat.entries.some(({ parent }) => parent === path.at(-1)?.id))
    path.forEach((entry, place) => t.is(entry.parent, path[place - 1]?.id ?? null))
  })
  fc.assert(property, { numRuns: 200 })
})

test('a fork has the branch that was shown alone, and the original stays as it is', (t) => {
  const chat = answered(talk(), 'a2, again', 2)
  const fork = forkOf(chat, 4, 'b', 9)
  t.deepEqual(textsOf(fork), ['q1', 'a1', 'q2', 'a2, again'])
  t.deepEqual(fork.entries.map(({ id, parent }) => [id, parent]), [[0, null], [1, 0], [2, 1], [3, 2]])
  t.is(chat.entries.length, 5)
})

test('an answer that failed before its first word is gone once it is asked for again, any other stays', (t) => {
  const failed = withEntry(asked(newChat('a', NEW_SETTINGS, 1), 'q'), 0, { ...NEW_ANSWER, state: 'failed', failure: 'full' }, 2)
  t.is(withoutAnswer(failed, 1).entries.length, 1)
  t.is(withoutAnswer(withAnswer(failed, 1, { text: 'half' }), 1).entries.length, 2)
  t.is(withoutAnswer(withAnswer(failed, 1, { text: 'half' }), 1).tip, 0)
})

test('the first question names the chat, unless the user has', (t) => {
  t.is(talk().title, 'q1')
  t.is(asked({ ...newChat('a', NEW_SETTINGS, 1), title: 'Mine', isNamed: true }, 'q1').title, 'Mine')
})

test('a long question is cut between words', (t) => {
  t.is(titleOf('  How are\nyou? '), 'How are you?')
  t.is(titleOf('How do I write a small cache with eviction in TypeScript?'), 'How do I write a small cache with…')
  t.is([...titleOf('ä'.repeat(100))].length, 41)
})

test('calls wait for results while nothing follows them', (t) => {
  const calls = [{ id: 'c', name: 'f', arguments: '{}' }]
  const chat = withAnswer(talk(), 3, { calls })
  t.deepEqual(openCalls(pathOf(chat)), calls)
  t.deepEqual(openCalls(pathOf(withAnswer(chat, 3, { state: 'stopped' }))), [])
  t.deepEqual(openCalls(pathOf(asked(chat, 'never mind'))), [])
})
