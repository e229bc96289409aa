import test from 'ava'
import type { Table } from '../../ts/directory/database.js'
import { Directory } from '../../ts/directory/directory.js'
import { BlockStore } from '../../ts/directory/store.js'
import { classOf } from '../../ts/placement/adaptive/classes.js'
import { createPolicy } from '../../ts/placement/registry.js'

const ROOT = 'r'.repeat(32)

class MemoryTable implements Table {
  readonly records = new Map<string, Uint8Array>()

  entries() {
    return [...this.records].map(([key, value]) => ({ key: Buffer.from(key, 'latin1'), value }))
  }
  put(key: Uint8Array, value: Uint8Array): void {
    this.records.set(Buffer.from(key).toString('latin1'), Uint8Array.from(value))
  }
  remove(key: Uint8Array): void {
    this.records.delete(Buffer.from(key).toString('latin1'))
  }
}

/** A directory with two stored blocks, the second partly filled, and the table they were stored in. */
function stored(): { table: MemoryTable; keys: string[] } {
  const table = new MemoryTable()
  const store = new BlockStore(table)
  const directory = new Directory({ hbm: 1, dram: 1, ssd: 4 })
  store.restore(directory, 'this model')
  const keys = ['a'.repeat(32), 'b'.repeat(32)]
  const chain = [Uint32Array.from({ length: 64 }, (_, i) => i), Uint32Array.of(70_000, 2)]
  chain.forEach((tokens, index) => {
    const block = directory.obtain(keys[index] as string, index === 0 ? ROOT : (keys[0] as string), index, tokens)
    directory.reserve('ssd')?.become(block, 'present')
    block.lastUse = 1000.5 + index
    store.put(block)
  })
  return { table, keys }
}

function reopen(table: Table, fingerprint = 'this model', ssd = 4) {
  const directory = new Directory({ hbm: 1, dram: 1, ssd })
  const report = new BlockStore(table).restore(directory, fingerprint)
  directory.checkIntegrity()
  return { directory, report }
}

test('blocks come back after a restart, with their tokens, parents and slots', t => {
  const { table, keys } = stored()
  const { directory, report } = reopen(table)
  t.deepEqual(report, { restored: 2, foreign: 0, damaged: 0 })
  const tail = directory.blocks.get(keys[1] as string)
  t.deepEqual(tail?.tokens, Uint32Array.of(70_000, 2))
  t.is(tail?.parent, keys[0])
  t.is(tail?.lastUse, 1001.5)
  t.true(tail?.durable)
  t.is(directory.pools.ssd.free, 2)
})

test('a block comes back with the view that its key depends on', t => {
  const table = new MemoryTable()
  const store = new BlockStore(table)
  const directory = new Directory({ hbm: 1, dram: 1, ssd: 4 })
  store.restore(directory, 'this model')
  const view = { window: 256, head: 64, step: 64 }
  const indices = [3, 4]
  for (const index of indices) {
    const block = directory.obtain(String(index).repeat(32), ROOT, index, Uint32Array.of(index), view)
    directory.reserve('ssd')?.become(block, 'present')
    store.put(block)
  }
  const views = (from: Directory) => indices.map(index => from.blocks.get(String(index).repeat(32))?.view)
  t.deepEqual(views(directory), [null, view])
  t.deepEqual(views(reopen(table).directory), [null, view])
})

test('blocks of another fingerprint are foreign: dropped, and gone for good', t => {
  const { table } = stored()
  t.deepEqual(reopen(table, 'another model').report, { restored: 0, foreign: 2, damaged: 0 })
  t.deepEqual(reopen(table, 'another model').report, { restored: 0, foreign: 0, damaged: 0 })
})

test('records that cannot be read, and slots that no longer exist, are dropped', t => {
  const { table } = stored()
  const first = [...table.records.keys()].find(key => key.startsWith('s'))
  table.records.set(first as string, Uint8Array.of(1, 2, 3))
  t.deepEqual(reopen(table).report, { restored: 1, foreign: 0, damaged: 1 })
  const smaller = stored()
  t.deepEqual(reopen(smaller.table, 'this model', 1).report, { restored: 1, foreign: 0, damaged: 1 })
})

test('two records of one key give one block, and the other slot is free', t => {
  const { table } = stored()
  const [first, second] = [...table.records].filter(([key]) => key.startsWith('s')) as [[string, Uint8Array], [string, Uint8Array]]
  const twin = Buffer.from(first[1])
  twin.writeUInt32LE(Buffer.from(second[0], 'latin1').readUInt32BE(1), 64)
  table.records.set(second[0], twin)
  const { directory, report } = reopen(table)
  t.deepEqual(report, { restored: 1, foreign: 0, damaged: 1 })
  t.is(directory.pools.ssd.free, 3)
})

test('a later last use is known after a restart, if the store was told', t => {
  const { table, keys } = stored()
  const directory = new Directory({ hbm: 1, dram: 1, ssd: 4 })
  const store = new BlockStore(table)
  store.restore(directory, 'this model')
  const block = directory.blocks.get(keys[0] as string)
  if (block) block.lastUse = 5000
  store.refresh(directory.inTier.ssd)
  t.is(reopen(table).directory.blocks.get(keys[0] as string)?.lastUse, 5000)
})

test('a slot that is given up is no longer in the store', t => {
  const { table, keys } = stored()
  const store = new BlockStore(table)
  const directory = new Directory({ hbm: 1, dram: 1, ssd: 4 }, { onSsdSlotLeft: slot => store.removed(slot) })
  store.restore(directory, 'this model')
  const tail = directory.blocks.get(keys[1] as string)
  if (tail) directory.removeCopy(tail, 'ssd')
  t.is(reopen(table).report.restored, 1)
})

test('after a restart a policy that learns knows the blocks, as of the turns that used them last', t => {
  const { table, keys } = stored()
  const directory = new Directory({ hbm: 1, dram: 1, ssd: 4 }, { policy: createPolicy('adaptive'), now: () => 1001 })
  new BlockStore(table).restore(directory, 'this model')
  const [full, tail] = keys.map(key => directory.blocks.get(key))
  t.like(full, { uses: 1, cohort: { blockClass: classOf({ uses: 1, gapMs: null, newTokens: 64, isPartialTail: false }), usedAt: 1000.5 } })
  // Its stamp lies ahead of the clock: time never goes ahead of now.
  t.like(tail, { uses: 1, cohort: { blockClass: classOf({ uses: 1, gapMs: null, newTokens: 2, isPartialTail: true }), usedAt: 1001 } })
})

test('a wish that a turn should be kept outlives a restart, as often as there is one', t => {
  const table = new MemoryTable()
  const directory = new Directory({ hbm: 1, dram: 1, ssd: 4 }, { policy: createPolicy('adaptive'), now: () => 5000 })
  const store = new BlockStore(table)
  store.restore(directory, 'this model')
  for (const [i, retention] of (['day', 'none'] as const).entries()) {
    const block = directory.obtain(String(i).repeat(32), ROOT, 0, Uint32Array.of(i))
    directory.reserve('ssd')?.become(block, 'present')
    directory.use(block, directory.policy.begin({ atMs: 5000, newTokens: 1, retention }))
    block.lastUse = 1000 + i
    block.durable = true
    store.put(block)
  }
  const reopened = (from: Directory) => {
    const again = new Directory({ hbm: 1, dram: 1, ssd: 4 }, { policy: createPolicy('adaptive'), now: () => 6000 })
    const into = new BlockStore(table)
    into.restore(again, 'this model')
    for (const block of again.inTier.ssd) into.put(block)
    t.is(again.blocks.size, from.blocks.size)
    return again
  }
  const twice = reopened(reopened(directory))
  t.deepEqual(['0', '1'].map(name => twice.blocks.get(name.repeat(32))?.cohort?.isAwaited), [true, false])
})
