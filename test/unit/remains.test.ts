import test from 'ava'
import type { Table } from '../../ts/directory/database.js'
import { Remains } from '../../ts/directory/remains.js'

/** What a database would keep. */
class MemoryTable implements Table {
  readonly #values = new Map<string, Uint8Array>()

  put(key: Uint8Array, value: Uint8Array): void {
    this.#values.set(Buffer.from(key).toString('latin1'), value)
  }

  remove(key: Uint8Array): void {
    this.#values.delete(Buffer.from(key).toString('latin1'))
  }

  *entries() {
    for (const [key, value] of [...this.#values]) yield { key: Buffer.from(key, 'latin1'), value }
  }
}

/** What outlives a restart: two tables whose writes are committed at once. */
function memoryStore() {
  return { left: new MemoryTable(), writing: new MemoryTable(), committed: () => Promise.resolve() }
}

const ALL = { slot: () => true, conversation: () => true }

test('a slot holds what it was given up with, until it is written', t => {
  const remains = new Remains()
  remains.left(4, ['a', 'b'])
  remains.left(9, ['b'])
  remains.left(5, [])
  t.deepEqual([remains.of('a'), remains.of('b'), remains.of('c')], [[4], [4, 9], []])
  // Given up again before all of it was written: what was there before may be there still.
  remains.left(9, ['c'])
  t.deepEqual([remains.of('b'), remains.of('c')], [[4, 9], [9]])
  remains.overwritten(4)
  t.deepEqual([remains.of('a'), remains.of('b'), remains.size], [[], [9], 1])
})

test('what more conversations used than are remembered counts as anyone’s', t => {
  const remains = new Remains()
  remains.left(1, Array.from({ length: 65 }, (_, n) => `c${n}`))
  t.true(remains.has(1, 'c64'))
  t.true(remains.has(1, 'somebody else'))
})

test('remains outlive a restart, except of slots in use again and of conversations that are forgotten', t => {
  const store = memoryStore()
  const before = new Remains()
  before.keepIn(store, ALL)
  before.left(1, ['a', 'b'])
  before.left(2, ['a'])
  before.left(3, ['gone'])
  before.left(4, ['a'])
  before.overwritten(4)
  before.left(70_000, Array.from({ length: 65 }, (_, n) => `c${n}`))
  const after = new Remains()
  after.keepIn(store, { slot: slot => slot !== 2, conversation: name => name !== 'gone' })
  t.deepEqual([after.of('a'), after.of('b'), after.of('gone')], [[1, 70_000], [1, 70_000], [70_000]])
  t.is([...store.left.entries()].length, 2)
})
