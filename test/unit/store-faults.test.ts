// The store on a disk that refuses, and one whose bytes are damaged: nothing ends, nothing is said to be on disk that is
// not, and everything is there again when the disk is well.

import test from 'ava'
import { openDatabase, type Database } from '../../ts/directory/database.js'
import { StoreError } from '../../ts/directory/store-error.js'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import type { Fault } from '../../ts/protocol/fault.js'
import { FailingStoreFile } from '../support/failing-store-file.js'
import { simulatedService } from '../support/simulated-service.js'
import { rowOf, Talk, temporaryStore } from '../support/talk.js'

interface Opened {
  readonly file: FailingStoreFile
  readonly clock: VirtualClock
  readonly database: Database
  readonly faults: Fault[]
  readonly states: string[]
  /** Records that memory has. */
  readonly memory: Map<string, string>
  put(key: string, value: string): void
}

function opened(t: { teardown(close: () => void): void }, file = new FailingStoreFile()): Opened {
  const clock = new VirtualClock()
  const faults: Fault[] = []
  const states: string[] = []
  const database = openDatabase(temporaryStore(t), { clock, onFault: (fault) => faults.push(fault), openFile: () => file })
  database.onCondition(({ state }) => states.push(state))
  const table = database.table('table')
  const memory = new Map<string, string>()
  const put = (key: string, value: string): void => {
    memory.set(key, value)
    table.put(Buffer.from(key), Buffer.from(value))
  }
  return { file, clock, database, faults, states, memory, put }
}

/** From now on the database may make the store anew of what memory has. */
function remembers({ database, memory }: Opened): void {
  database.rewriteFrom({ table: () => [...memory].map(([key, value]) => ({ key: Buffer.from(key), value: Buffer.from(value) })) })
}

const codeOf = async (promise: Promise<void>): Promise<string> => {
  try {
    await promise
    return 'ok'
  } catch (thrown) {
    return thrown instanceof StoreError ? thrown.code : String(thrown)
  }
}

/** Lets everything that waits for promises alone go on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('writes of one turn are one batch, and those that come during a commit are the next one', async (t) => {
  const store = opened(t)
  const release = store.file.hold()
  store.put('a', '1')
  store.put('b', '2')
  const first = store.database.flushed()
  await settled()
  store.put('a', '3')
  store.put('a', '4')
  const second = store.database.flushed()
  release()
  await Promise.all([first, second])
  t.deepEqual(store.file.calls, ['change', 'change'])
  t.is(Buffer.from(store.file.records.get('0 a') ?? []).toString(), '4')
})

test('flushed waits for the writes before it, those included that are being committed', async (t) => {
  const store = opened(t)
  const release = store.file.hold()
  store.put('a', '1')
  await settled()
  const flushed = store.database.flushed().then(() => store.file.keysOf('table'))
  release()
  t.deepEqual(await flushed, ['a'])
  t.is(await codeOf(store.database.flushed()), 'ok')
})

test('on a full disk nothing is said to be durable, and what waits is written once there is room', async (t) => {
  const store = opened(t)
  remembers(store)
  store.put('a', '1')
  await store.database.flushed()
  store.file.refusal = 'store_full'
  store.put('b', '2')
  t.is(await codeOf(store.database.flushed()), 'store_full')
  t.like(store.database.condition(), { state: 'full', reason: 'the test refuses it' })
  store.put('b', '3')
  store.database.table('table').remove(Buffer.from('a'))
  t.is(await codeOf(store.database.flushed()), 'store_full')
  store.file.refusal = null
  t.deepEqual(store.file.keysOf('table'), ['a'])
  store.clock.advance(1000)
  await settled()
  t.deepEqual(store.file.keysOf('table'), ['b'])
  t.is(Buffer.from(store.file.records.get('0 b') ?? []).toString(), '3')
  t.is(await codeOf(store.database.flushed()), 'ok')
  t.deepEqual(store.states, ['full', 'ok'])
})

test('a disk that goes on refusing is tried at pauses that double up to a minute', async (t) => {
  const store = opened(t)
  store.file.refusal = 'store_full'
  store.put('a', '1')
  await settled()
  const triedAfter: number[] = []
  for (let second = 1; second <= 250; second++) {
    const before = store.file.calls.length
    store.clock.advance(1000)
    await settled()
    if (store.file.calls.length > before) triedAfter.push(second)
  }
  t.deepEqual(triedAfter, [1, 3, 7, 15, 31, 63, 123, 183, 243])
  t.deepEqual(store.states, ['full'])
})

test('more writes than may wait are let go, and all that memory has is written once there is room', async (t) => {
  const store = opened(t)
  remembers(store)
  store.put('gone', 'old')
  await store.database.flushed()
  store.file.refusal = 'store_full'
  const long = 'x'.repeat(1_000_000)
  for (let i = 0; i < 80; i++) {
    store.put(`key ${i}`, long)
    if (i % 8 === 0) await settled()
  }
  store.memory.delete('gone')
  store.database.table('table').remove(Buffer.from('gone'))
  store.file.refusal = null
  store.clock.advance(60_000)
  await store.database.flushed().catch(() => {})
  await settled()
  await store.database.flushed()
  t.deepEqual(new Set(store.file.keysOf('table')), new Set(store.memory.keys()))
  t.true(store.file.calls.includes('last'))
})

test('changes that come while all records are written are not lost', async (t) => {
  const file = new FailingStoreFile()
  file.found = { kind: 'damaged', detail: 'flipped' }
  const store = opened(t, file)
  store.memory.set('a', '1')
  const release = file.hold()
  remembers(store)
  await settled()
  store.put('b', '2')
  const flushed = store.database.flushed()
  release()
  await flushed
  t.deepEqual(file.calls, ['first', 'last', 'change'])
  t.deepEqual(file.keysOf('table'), ['a', 'b'])
})

test('damage met in service sets the store aside, and the new one has what memory has', async (t) => {
  const store = opened(t)
  remembers(store)
  store.put('a', '1')
  await store.database.flushed()
  store.file.refusal = 'store_damaged'
  store.put('b', '2')
  await Promise.resolve()
  const flushed = store.database.flushed()
  await Promise.resolve()
  store.file.refusal = null
  await flushed.catch(() => {})
  store.clock.advance(1000)
  await settled()
  await store.database.flushed()
  t.deepEqual(store.file.keysOf('table'), ['a', 'b'])
  t.true(store.file.calls.includes('set aside'))
  t.deepEqual(store.faults.map(({ code }) => code), ['store_damaged'])
  t.is(store.database.condition().state, 'ok')
})

test('a disk that fails again at once is tried later, and the store that was set aside is not set aside again', async (t) => {
  const store = opened(t)
  remembers(store)
  store.put('a', '1')
  await store.database.flushed()
  store.file.refusal = 'store_io'
  store.put('b', '2')
  t.is(await codeOf(store.database.flushed()), 'store_io')
  t.is(store.database.condition().state, 'failing')
  for (let round = 0; round < 5; round++) {
    store.clock.advance(60_000)
    await settled()
  }
  store.file.refusal = null
  store.clock.advance(60_000)
  await settled()
  await store.database.flushed()
  t.deepEqual(store.file.keysOf('table'), ['a', 'b'])
  t.is(store.file.calls.filter((call) => call === 'set aside').length, 1)
})

test('where the disk is full the store that was set aside goes', async (t) => {
  const file = new FailingStoreFile()
  file.found = { kind: 'damaged', detail: 'flipped', aside: 'store.damaged' }
  file.hasAside = true
  file.refusal = 'store_full'
  const store = opened(t, file)
  remembers(store)
  await settled()
  file.refusal = null
  store.clock.advance(0)
  await settled()
  t.false(file.hasAside)
  t.is(store.database.condition().state, 'ok')
})

test('records that can be read before the damage are kept', async (t) => {
  const file = new FailingStoreFile()
  file.found = { kind: 'whole' }
  file.records.set('0 a', Buffer.from('1'))
  const store = opened(t, file)
  t.false(store.database.isLost)
  for (const { key, value } of store.database.table('table').entries()) store.memory.set(Buffer.from(key).toString(), Buffer.from(value).toString())
  file.unreadable = 'store_damaged'
  t.deepEqual([...store.database.table('other').entries()], [])
  t.true(store.database.isLost)
  remembers(store)
  await settled()
  t.deepEqual(file.calls, ['set aside', 'first', 'last'])
  t.deepEqual(file.keysOf('table'), ['a'])
})

test('before it is known what memory has, a damaged store is neither written nor waited for', async (t) => {
  const file = new FailingStoreFile()
  file.found = { kind: 'whole' }
  const store = opened(t, file)
  file.refusal = 'store_damaged'
  store.put('a', '1')
  t.is(await codeOf(store.database.flushed()), 'store_damaged')
  t.is(await codeOf(store.database.flushed()), 'store_damaged')
  await store.database.close()
  t.deepEqual(file.calls, ['change refused', 'close'])
})

test('a store that cannot be opened does not stop the start, and is written when it can be', async (t) => {
  const file = new FailingStoreFile()
  file.unreadable = 'store_full'
  const store = opened(t, file)
  t.is(store.database.condition().state, 'full')
  t.deepEqual([...store.database.table('table').entries()], [])
  remembers(store)
  store.put('a', '1')
  t.is(await codeOf(store.database.flushed()), 'store_full')
  file.unreadable = null
  store.clock.advance(1000)
  await settled()
  t.deepEqual(file.keysOf('table'), ['a'])
  t.deepEqual(store.states, ['full', 'ok'])
})

test('close tries once more, and ends whatever the disk says', async (t) => {
  const store = opened(t)
  store.file.refusal = 'store_full'
  store.put('a', '1')
  await settled()
  store.file.refusal = null
  await store.database.close()
  t.deepEqual(store.file.keysOf('table'), ['a'])
  const refused = opened(t)
  refused.file.refusal = 'store_read_only'
  refused.put('a', '1')
  await refused.database.close()
  t.is(refused.file.calls.at(-1), 'close')
})

test('a service goes on while its disk is full, its receipts say so, and all is on disk afterwards', async (t) => {
  const file = new FailingStoreFile()
  const dataDir = temporaryStore(t)
  const disk = new SimulatedDisk('disk')
  const told: string[] = []
  const served = simulatedService({ disk }, (_, clock) => ({
    dataDir,
    onDisk: ({ place, state }) => told.push(`${place} ${state}`),
    openDatabase: (dir, options) => openDatabase(dir, { ...options, clock, openFile: () => file }),
  }))
  const [a, b] = [new Talk('a'), new Talk('b')]
  for (const talk of [a, b]) await talk.turn(served.service)
  t.like(await served.service.demote('ssd'), { durable: true })
  file.refusal = 'store_full'
  await a.turn(served.service)
  t.like(await served.service.conversations.erase('b', null), { durable: false })
  t.like(await served.service.reset(), { durable: false })
  t.true(file.keysOf('conversations').includes('\0b'), 'the disk still has it')
  file.refusal = null
  served.clock.advance(60_000)
  await settled()
  await a.turn(served.service)
  t.like(await served.service.demote('ssd'), { durable: true })
  t.deepEqual(file.keysOf('conversations'), ['\0a'])
  t.deepEqual(told.filter((line) => line.startsWith('store')), ['store full', 'store ok'])
  await served.close()
})

test('the store that is made anew in service has all that a restart needs', async (t) => {
  const file = new FailingStoreFile()
  const dataDir = temporaryStore(t)
  const disk = new SimulatedDisk('disk')
  const open = () => simulatedService({ disk }, (_, clock) => ({ dataDir, openDatabase: (dir, options) => openDatabase(dir, { ...options, clock, openFile: () => file }) }))
  let served = open()
  const talk = new Talk('a')
  for (let turn = 0; turn < 3; turn++) await talk.turn(served.service)
  await served.service.demote('ssd')
  // Who refers to what becomes one record.
  const before = [...file.records.keys()].filter((name) => !name.startsWith(`${file.table('referrers')} `))
  const tables = new Set([...file.records.keys()].map((name) => name.split(' ')[0]))
  t.true(tables.size >= 4, 'several tables have records')
  file.refusal = 'store_damaged'
  served.service.conversations.fork('a', null).catch(() => {})
  await Promise.resolve()
  await settled()
  file.refusal = null
  served.clock.advance(60_000)
  await settled()
  t.like(await served.service.demote('ssd'), { durable: true })
  for (const name of before) t.true(file.records.has(name), name)
  t.deepEqual(file.keysOf('referrers').slice(0, 1), ['mdisk\n\0a'], 'under the owner of the extents')
  await served.close()
  file.found = { kind: 'whole' }
  served = open()
  t.true((rowOf(served.service, 'a')?.tiers.ssd.blocks ?? 0) > 0)
  const { reusedTokens } = await talk.turn(served.service)
  t.true(reusedTokens.ssd > 0)
  await served.close()
})

test('after the store was lost, an erasure overwrites every slot, because any of them may hold the conversation', async (t) => {
  const dataDir = temporaryStore(t)
  const disk = new SimulatedDisk('disk')
  const file = new FailingStoreFile()
  const open = () => simulatedService({ disk, slots: { hbm: 24, dram: 24, ssd: 14 } }, (_, clock) => ({ dataDir, openDatabase: (dir, options) => openDatabase(dir, { ...options, clock, openFile: () => file }) }))
  let served = open()
  await new Talk('a').turn(served.service)
  await served.service.demote('ssd')
  await served.close()
  t.true(disk.extents.size > 0)
  file.found = { kind: 'damaged', detail: 'flipped' }
  file.records.clear()
  served = open()
  await new Talk('b').turn(served.service)
  await served.service.conversations.erase('b', null)
  t.is(disk.extents.size, 0)
  await served.close()
})
