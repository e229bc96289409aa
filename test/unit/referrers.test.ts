// Which conversations use which blocks: what is written of it with each turn, and what a restart finds.

import test from 'ava'
import fc from 'fast-check'
import { conversationKey } from '../../ts/conversations/registry.js'
import type { Table } from '../../ts/directory/database.js'
import { Directory } from '../../ts/directory/directory.js'
import { Referrers } from '../../ts/service/referrers.js'

/** Counts the bytes that are written. */
class CountingTable implements Table {
  readonly records = new Map<string, Uint8Array>()
  written = 0

  entries() {
    return [...this.records].map(([key, value]) => ({ key: Buffer.from(key, 'latin1'), value }))
  }
  put(key: Uint8Array, value: Uint8Array): void {
    this.written += key.length + value.length
    this.records.set(Buffer.from(key).toString('latin1'), Uint8Array.from(value))
  }
  remove(key: Uint8Array): void {
    this.records.delete(Buffer.from(key).toString('latin1'))
  }
}

const MINE = conversationKey('', 'mine')
const KEY_BYTES = 32
const keyOf = (number: number): string => String(number).padEnd(KEY_BYTES, 'k')

function filled(blocks: number): Directory {
  const directory = new Directory({ hbm: 1, dram: 1, ssd: blocks })
  for (let number = 0; number < blocks; number++) put(directory, number)
  return directory
}

function put(directory: Directory, number: number): void {
  const block = directory.obtain(keyOf(number), 'root', 0, Uint32Array.of(number))
  directory.reserve('ssd')?.become(block, 'present')
}

function drop(directory: Directory, number: number): void {
  const block = directory.blocks.get(keyOf(number))
  if (block) directory.removeCopy(block, 'ssd')
}

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => keyOf(from + i))
const named = (referrers: Referrers, conversation: string): string[] => [...referrers.blocksOf(conversation)].map(({ key }) => key).toSorted()

test('a turn writes the keys that are new to its conversation, however many it has', t => {
  const table = new CountingTable()
  const directory = filled(10_100)
  const referrers = new Referrers(directory, table, () => true)
  referrers.refer(MINE, numbers(0, 10_000))
  const before = table.written
  for (let turn = 0; turn < 50; turn++) referrers.refer(MINE, [keyOf(0), ...numbers(10_000 + 2 * turn, 10_002 + 2 * turn)])
  t.true(table.written - before < 50 * 3 * KEY_BYTES, `${table.written - before} bytes for 100 new keys`)
  const again = new Referrers(directory, table, () => true)
  t.deepEqual(named(again, MINE), numbers(0, 10_100).toSorted())
})

test('a turn that brings nothing new writes nothing', t => {
  const table = new CountingTable()
  const referrers = new Referrers(filled(100), table, () => true)
  referrers.refer(MINE, numbers(0, 100))
  const before = table.written
  referrers.refer(MINE, numbers(0, 100))
  t.is(table.written, before)
})

test('records stay few, and their keys in proportion to the blocks that are there', t => {
  const table = new CountingTable()
  const directory = filled(400)
  const referrers = new Referrers(directory, table, () => true)
  for (let turn = 0; turn < 4000; turn++) {
    referrers.refer(MINE, [keyOf(turn % 400)])
    if (turn % 400 >= 50) {
      drop(directory, (turn % 400) - 50)
      put(directory, (turn % 400) - 50)
    }
  }
  const bytes = [...table.records.values()].reduce((sum, { length }) => sum + length, 0)
  t.true(table.records.size < 40, `${table.records.size} records`)
  t.true(bytes <= (2 * named(referrers, MINE).length + 64) * KEY_BYTES, `${bytes} bytes`)
})

test('of a conversation that is forgotten no record stays, and others are untouched', t => {
  const table = new CountingTable()
  const directory = filled(20)
  const referrers = new Referrers(directory, table, () => true)
  const others = [conversationKey('', 'min'), conversationKey('', 'mine2'), conversationKey('mine', '1')]
  for (let turn = 0; turn < 5; turn++) for (const name of [MINE, ...others]) referrers.refer(name, [keyOf(turn)])
  referrers.forget(MINE)
  const again = new Referrers(directory, table, () => true)
  t.deepEqual([MINE, ...others].map(name => named(again, name).length), [0, 5, 5, 5])
  directory.checkIntegrity()
  new Referrers(directory, table, () => false)
  t.is(table.records.size, 0)
})

test('a record that a server before wrote, of all keys at once, is read and added to', t => {
  const table = new CountingTable()
  table.put(Buffer.from(MINE, 'utf8'), Buffer.from(numbers(0, 5).join(''), 'latin1'))
  const directory = filled(10)
  new Referrers(directory, table, () => true).refer(MINE, numbers(3, 7))
  t.deepEqual(named(new Referrers(directory, table, () => true), MINE), numbers(0, 7))
})

test('after any turns, evictions and restarts a restart finds the pairs that there were', t => {
  const seed = Number(process.env['REFERRERS_SEED'] ?? 5)
  t.log(`REFERRERS_SEED=${seed}`)
  const names = ['a', 'b', 'c'].map(id => conversationKey('tenant', id))
  const event = fc.record({ kind: fc.constantFrom('refer', 'refer', 'refer', 'drop', 'put', 'forget', 'restart'), name: fc.constantFrom(...names), from: fc.nat(60), count: fc.nat(6) })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200, size: 'max' }), events => {
      const table = new CountingTable()
      const directory = filled(67)
      let referrers = new Referrers(directory, table, () => true)
      for (const { kind, name, from, count } of events) {
        if (kind === 'refer') referrers.refer(name, numbers(from, from + count))
        if (kind === 'drop') drop(directory, from)
        if (kind === 'put' && !directory.blocks.has(keyOf(from))) put(directory, from)
        if (kind === 'forget') referrers.forget(name)
        if (kind === 'restart') referrers = new Referrers(directory, table, () => true)
      }
      directory.checkIntegrity()
      const before = names.map(name => named(referrers, name))
      const again = new Referrers(directory, table, () => true)
      for (const [i, name] of names.entries()) for (const key of before[i] ?? []) t.true(named(again, name).includes(key))
    }),
    { seed, numRuns: 60 },
  )
})
