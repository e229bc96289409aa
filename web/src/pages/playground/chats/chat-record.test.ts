import test from 'ava'
import fc from 'fast-check'
import { NEW_SETTINGS } from '../settings/chat-settings.js'
import { NEW_ANSWER, newChat, pathOf, withEntry, type Chat } from './chat.js'
import { readRecord, recordOf } from './chat-record.js'

const question = withEntry(newChat('a', { ...NEW_SETTINGS, system: 'Be kind.', numbers: { seed: 3 } }, 1), null, { role: 'user', text: 'q' }, 2)
const chat = withEntry(question, 0, { ...NEW_ANSWER, text: 'a', state: 'ended', finish: 'stop', firstTextMs: 12 }, 3)
/** As the browser gives it back. */
const stored = (of: Chat = chat) => structuredClone(recordOf(of)) as { id: string; version: number; chat: Record<string, unknown> }

test('a chat comes out of the store as it went in', (t) => {
  t.deepEqual(readRecord(stored()), chat)
})

test('an answer that was being written when the page was left is a stopped one', (t) => {
  const left = readRecord(stored(withEntry(question, 0, { ...NEW_ANSWER, text: 'hal' }, 3)))
  t.like(typeof left === 'string' ? {} : left.entries[1], { text: 'hal', state: 'stopped' })
})

test('a record of a later version is told from a damaged one', (t) => {
  t.is(readRecord({ ...stored(), version: 2 }), 'newer')
  t.is(readRecord({ ...stored(), version: 0 }), 'damaged')
})

test('a record without a whole chat is damaged', (t) => {
  const { chat: whole } = stored()
  const damages: ReadonlyArray<Record<string, unknown>> = [
    { id: 'b' },
    { tip: 2 },
    { tip: null },
    { entries: 'none' },
    { entries: [{ ...question.entries[0], parent: 0 }] },
    { entries: [{ ...question.entries[0], text: 1 }] },
    { entries: [{ ...question.entries[0], role: 'system' }] },
  ]
  for (const damage of damages) t.is(readRecord({ ...stored(), chat: { ...whole, ...damage } }), 'damaged', JSON.stringify(damage))
})

test('whatever lies in the store, reading it ends, and a chat that is read can be shown', (t) => {
  const values = fc.oneof(fc.anything(), fc.record({ id: fc.constant('a'), version: fc.constant(1), chat: fc.anything() }), fc.constant(stored()))
  const broken = fc.tuple(values, fc.constantFrom('entries', 'tip', 'settings', 'title'), fc.anything()).map(([value, field, other]) => {
    const copy = structuredClone(stored())
    return value !== null && typeof value === 'object' && 'chat' in value ? { ...copy, chat: { ...copy.chat, [field]: other } } : value
  })
  const property = fc.property(broken, (value) => {
    const read = readRecord(value)
    if (typeof read !== 'string') t.true(pathOf(read).length > 0 && typeof read.settings.system === 'string')
  })
  fc.assert(property, { numRuns: 500 })
  t.pass()
})

test('usage that lacks a count is none, so that no bar is drawn from it', (t) => {
  const whole = stored()
  const entries = (whole.chat['entries'] as Array<Record<string, unknown>>).with(1, { ...chat.entries[1], usage: { prompt_tokens: 3, attentionstore: {} } })
  const read = readRecord({ ...whole, chat: { ...whole.chat, entries } })
  t.like(typeof read === 'string' ? {} : read.entries[1], { text: 'a', usage: null })
})
