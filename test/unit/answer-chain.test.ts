// The chain over answers with calls: what says the same is the same, and reasoning and ids are no part of it.

import test from 'ava'
import fc from 'fast-check'
import { canonicalJson } from '../../ts/conversations/canonical.js'
import { AnswerHash, chainNext, chainOf, chainStart, type ChainMessage } from '../../ts/conversations/chain.js'
import { AnswerRecords } from '../../ts/conversations/records.js'
import type { Table } from '../../ts/conversations/table.js'
import { toolsText } from '../../ts/service/messages.js'
import type { TurnMessage } from '../../ts/service/types.js'

/** JSON of the same value: keys in another order, other white space, other notations of numbers and letters. */
function rewritten(value: unknown, choose: (among: number) => number): string {
  const space = (): string => ['', ' ', '\n\t'][choose(3)] as string
  if (typeof value === 'number') return notation(value, choose)
  if (typeof value === 'string') return letters(value, choose)
  if (Array.isArray(value)) return `[${space()}${value.map((item) => rewritten(item, choose)).join(`${space()},${space()}`)}${space()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).map(([key, member]) => `${letters(key, choose)}${space()}:${space()}${rewritten(member, choose)}`)
  if (choose(2) === 1) members.reverse()
  return `{${space()}${members.join(`,${space()}`)}${space()}}`
}

function notation(value: number, choose: (among: number) => number): string {
  const plain = JSON.stringify(value)
  const asFraction = /[.e]/.test(plain) ? plain : `${plain}.0`
  // A zero in front of digits is no JSON, so that nought has no such form.
  const asPower = Number.isInteger(value) && value !== 0 && !plain.includes('e') ? `${plain}0e-1` : plain
  return [plain, asFraction, asPower][choose(3)] as string
}

function letters(value: string, choose: (among: number) => number): string {
  const escaped = (text: string): string => text.replace(/[a-zà-ÿ]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return choose(4) === 0 && !/["\\\p{Cc}]/u.test(value) ? `"${escaped(value)}"` : JSON.stringify(value)
}

const json = fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' })

test('JSON that says the same has one canonical text, whatever its spacing, order and notation', (t) => {
  fc.assert(
    fc.property(json, fc.infiniteStream(fc.nat()), (value, stream) => {
      const choose = (among: number): number => (stream.next().value as number) % among
      t.is(canonicalJson(rewritten(value, choose)), canonicalJson(JSON.stringify(value)))
    }),
  )
})

test('JSON that says something else has another canonical text', (t) => {
  fc.assert(
    fc.property(json, json, (a, b) => {
      fc.pre(!isEqual(a, b))
      t.not(canonicalJson(JSON.stringify(a)), canonicalJson(JSON.stringify(b)))
    }),
  )
  const texts = ['1', '"1"', '"n1e0"', 'null', '"null"', '[]', '{}', '[{}]', '12345678901234567890', '12345678901234567891', '1e400', '-1', '{broken', '{broken ', 'true']
  t.is(new Set(texts.map(canonicalJson)).size, texts.length)
})

function isEqual(a: unknown, b: unknown): boolean {
  return canonicalKeys(a) === canonicalKeys(b)
}

function canonicalKeys(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalKeys).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, member]) => `${JSON.stringify(key)}:${canonicalKeys(member)}`).join(',')}}`
}

test('numbers are one number in every notation, and no digit is lost', (t) => {
  for (const [a, b] of [['100', '1e2'], ['1.50', '1.5'], ['-0', '0'], ['0.0e9', '0'], ['10.0E-1', '1'], ['1E+2', '100.00']] as const) t.is(canonicalJson(a), canonicalJson(b))
  t.is(canonicalJson(''), canonicalJson(' {} '))
  t.not(canonicalJson('0.1'), canonicalJson('0.10000000000000000555'))
})

test('a number of a million digits, and values nested a hundred thousand deep, cost no more than their length', (t) => {
  t.not(canonicalJson(`1${'0'.repeat(1_000_000)}1`), canonicalJson(`1${'0'.repeat(1_000_000)}2`))
  const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  t.true(canonicalJson(deep(100_000)).startsWith('?'))
  t.is(canonicalJson(deep(100)), deep(100))
})

const START = chainStart(Buffer.alloc(32, 7), '', 'text', '')
const user: ChainMessage = { role: 'user', content: 'hi' }

test('an answer with calls ends where the message does that a client sends back, with other ids, order and spacing, without reasoning', (t) => {
  const parent = chainOf(START, [user])[0] as string
  const hash = new AnswerHash(parent)
  hash.add('I look.')
  hash.call('weather')
  for (const piece of ['{"city": "Par', 'is", "days": 1', '.0}']) hash.arguments(piece)
  hash.call('now')
  const sent: TurnMessage & { readonly content: string } = {
    role: 'assistant',
    content: 'I look.',
    reasoning: 'Not part of it.',
    toolCalls: [{ id: 'other', name: 'weather', arguments: '{"days":1,"city":"Paris"}' }, { id: 'ids', name: 'now', arguments: '{}' }],
  }
  t.is(hash.end(), chainNext(parent, sent))
})

test('calls are part of the chain: their names, arguments, order and number', (t) => {
  const call = (name: string, text = '{}') => ({ name, arguments: text })
  const lists = [[], [call('a')], [call('b')], [call('a', '{"x":1}')], [call('a'), call('b')], [call('b'), call('a')], [call('a{}')]]
  const hashes = lists.map((toolCalls) => chainNext(START, { role: 'assistant', content: '', toolCalls }))
  t.is(new Set(hashes).size, lists.length)
  t.is(chainNext(START, { role: 'assistant', content: 'x', toolCalls: [] }), chainNext(START, { role: 'assistant', content: 'x' }))
})

test('tools that say the same are the same', (t) => {
  const one = { name: 'a', parameters: { type: 'object', properties: { x: { type: 'number' } } }, strict: false }
  const same = { strict: true, parameters: { properties: { x: { type: 'number' } }, type: 'object' }, name: 'a' }
  t.is(toolsText([one]), toolsText([same]))
  const other = { ...one, description: 'd' }
  t.is(new Set([undefined, [one], [other], [one, other], [{ ...one, parameters: null }]].map(toolsText)).size, 5)
})

function memoryTable(): Table & { readonly rows: Map<string, Uint8Array> } {
  const rows = new Map<string, Uint8Array>()
  const name = (key: Uint8Array): string => Buffer.from(key).toString('latin1')
  return {
    rows,
    entries: () => [...rows].map(([key, value]) => ({ key: Buffer.from(key, 'latin1'), value })),
    put: (key, value) => void rows.set(name(key), value),
    remove: (key) => void rows.delete(name(key)),
  }
}

test('a record keeps its reasoning over a restart; those of another layout and damaged ones go', (t) => {
  const table = memoryTable()
  const record = { conversation: '\0mine', tokens: Uint32Array.of(1, 2, 3), bytes: 7, reasoning: 2, whole: true }
  new AnswerRecords(table, 1 << 20).put('a'.repeat(32), record)
  const old = Buffer.concat([Buffer.from(Uint32Array.of(9, 2, 5, 6).buffer), Buffer.from('\0old')])
  table.rows.set('b'.repeat(32), old)
  table.rows.set('c'.repeat(32), old.subarray(0, 11))
  const whole = [...table.rows.values()][0] as Uint8Array
  table.rows.set('d'.repeat(32), whole.subarray(0, 18))
  const tooMuch = Buffer.from(whole)
  tooMuch.writeUInt32LE(4, 8)
  table.rows.set('e'.repeat(32), tooMuch)
  const again = new AnswerRecords(table, 1 << 20)
  t.deepEqual(again.get('a'.repeat(32)), record)
  t.is(again.get('b'.repeat(32)), undefined, 'an older layout')
  t.is(again.size, 1)
  t.is(table.rows.size, 1)
})
