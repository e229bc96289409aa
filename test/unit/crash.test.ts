// What a crash may cost: misses, never a record of bytes that are not there, nor erased bytes that are.

import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import { MemoryDatabase } from '../support/memory-database.js'
import { ask, reusedTokens, simulatedService } from '../support/simulated-service.js'
import { rowOf, Talk, temporaryStore } from '../support/talk.js'

const KEY_BYTES = 32

/** Slots that a table of the store names. */
const slotsIn = (database: MemoryDatabase, name: string) => new Set([...database.table(name).entries()].map(({ key }) => Buffer.from(key.subarray(-4)).readUInt32BE()))

/** Keys and slots that the store names. */
function recordsOf(database: MemoryDatabase) {
  const records = [...database.table('blocks').entries()].filter(({ key }) => !Buffer.from(key).toString().endsWith('meta'))
  return records.map(({ value }) => ({ key: Buffer.from(value).toString('latin1', 0, KEY_BYTES), slot: Buffer.from(value).readUInt32LE(2 * KEY_BYTES) }))
}

test('at no moment does the store name a block whose bytes a power loss would take', async t => {
  const disk = new SimulatedDisk('disk')
  const database = new MemoryDatabase()
  // The disk is too small for all, and now and then a flush fails.
  let flushes = 0
  const faults = { fails: ({ kind }: { readonly kind: string }) => (kind === 'flush' && ++flushes % 4 === 0 ? 'kv_io' : undefined) }
  const served = simulatedService({ disk, faults, slots: { hbm: 24, dram: 24, ssd: 14 } }, { dataDir: temporaryStore(t), openDatabase: () => database })
  const { engine, service } = served
  const handle = engine.onEvents
  let most = 0
  const lost = new Set<string>()
  engine.onEvents = events => {
    handle(events)
    const left = disk.afterPowerLoss()
    const records = recordsOf(database)
    most = Math.max(most, records.length)
    for (const { key, slot } of records) if (left.extents.get(slot)?.key !== key) lost.add(key)
  }
  const talks = ['a', 'b', 'c'].map(id => new Talk(id, id))
  for (let turn = 0; turn < 4; turn++) for (const talk of talks) await talk.turn(service)
  await service.demote('ssd')
  t.is(lost.size, 0)
  t.true(most > 5, `${most} records`)
  t.true(flushes > 4, `${flushes} flushes`)
  await served.close()
})

test('after a power loss what was flushed is found, and the answer is the one that was computed', async t => {
  const dataDir = temporaryStore(t)
  const disk = new SimulatedDisk('disk')
  const database = new MemoryDatabase()
  const served = simulatedService({ disk }, { dataDir, openDatabase: () => database })
  const talk = new Talk('a')
  await talk.turn(served.service)
  await served.service.demote('ssd')
  await talk.turn(served.service)
  const { messages } = talk
  talk.messages.pop()
  const [left, store] = [disk.afterPowerLoss(), database.afterCrash()]
  const expected = await ask(served.service, talk.request())
  await served.close()
  const again = simulatedService({ disk: left }, { dataDir, openDatabase: () => store })
  t.true((rowOf(again.service, 'a')?.tiers.ssd.blocks ?? 0) > 0)
  const answer = await ask(again.service, talk.request())
  t.is(messages.length, 3)
  t.is(answer.text, expected.text)
  t.true(reusedTokens(answer.usage) > 0)
  t.is(again.service.counters().droppedBlocks['damaged'], 0)
  await again.close()
})

test('before a slot is written the store says for whom, and says so until a record names it or its remains', async t => {
  const disk = new SimulatedDisk('disk')
  const database = new MemoryDatabase('when asked')
  const served = simulatedService({ disk, slots: { hbm: 24, dram: 24, ssd: 14 } }, { dataDir: temporaryStore(t), openDatabase: () => database })
  const { engine, service } = served
  const unsaid = new Set<number>()
  let writes = 0
  const transfer = engine.transfer.bind(engine)
  engine.transfer = transfers => {
    const said = slotsIn(database.afterCrash(), 'writing')
    for (const sent of transfers) {
      if (sent.kind !== 'write') continue
      writes++
      if (!said.has(sent.ssdSlot)) unsaid.add(sent.ssdSlot)
    }
    transfer(transfers)
  }
  const handle = engine.onEvents
  engine.onEvents = events => {
    handle(events)
    const store = database.afterCrash()
    const named = [slotsIn(store, 'writing'), slotsIn(store, 'remains'), new Set(recordsOf(store).map(({ slot }) => slot))]
    for (const slot of disk.extents.keys()) if (!named.some(slots => slots.has(slot))) unsaid.add(slot)
  }
  const talks = ['a', 'b', 'c'].map(id => new Talk(id, id))
  for (let turn = 0; turn < 3; turn++) for (const talk of talks) await talk.turn(service)
  await service.demote('ssd')
  await service.reset()
  await talks[0]?.turn(service)
  t.deepEqual([...unsaid], [])
  t.true(writes > 14, `${writes} writes`)
  await served.close()
  t.is(slotsIn(database, 'writing').size, 0)
})

test('after a kill before anything was flushed, an erasure leaves nothing of the conversation on the disk', async t => {
  const dataDir = temporaryStore(t)
  const disk = new SimulatedDisk('disk')
  const database = new MemoryDatabase()
  // The commit interval is longer than the test: everything is written, and nothing flushed.
  const served = simulatedService({ disk }, { dataDir, openDatabase: () => database, commitIntervalMs: 1e9 })
  const [a, b] = [new Talk('a'), new Talk('b', 'other')]
  await a.turn(served.service)
  const written = new Promise<void>(resolve => {
    const handle = served.engine.onEvents
    served.engine.onEvents = events => {
      handle(events)
      if (served.service.counters().writtenBlocks === served.service.counters().savedBlocks) resolve()
    }
  })
  await b.turn(served.service)
  await written
  const [left, store] = [disk.afterKill(), database.afterCrash()]
  const slots = left.extents.size
  t.true(slots > 4)
  t.is(recordsOf(store).length, 0)
  const again = simulatedService({ disk: left }, { dataDir, openDatabase: () => store })
  const ofA = (await again.service.conversations.erase('a', null)).erased
  t.is(ofA.blocks, 0)
  t.true(ofA.remains > 0)
  t.is(left.extents.size, slots - ofA.remains)
  const ofB = (await again.service.conversations.erase('b', null)).erased
  t.is(ofA.remains + ofB.remains, slots)
  t.is(left.extents.size, 0)
  again.service.checkIntegrity()
  await Promise.all([again.close(), served.close()])
})

test('what was written over, and not flushed, is flushed before an erasure of what lay there is confirmed', async t => {
  const disk = new SimulatedDisk('disk')
  const served = simulatedService({ disk, slots: { hbm: 24, dram: 24, ssd: 14 } }, { commitIntervalMs: 1e9 })
  const { service } = served
  const [a, b] = [new Talk('a'), new Talk('b', 'other')]
  await a.turn(service)
  await service.demote('ssd')
  const ofA = new Set([...disk.extents.values()].map(({ key }) => key))
  await service.reset()
  for (let turn = 0; turn < 3; turn++) await b.turn(service)
  t.true([...disk.extents.values()].every(({ key }) => !ofA.has(key)), 'its slots are written again')
  const lost = () => [...disk.afterPowerLoss().extents.values()].filter(({ key }) => ofA.has(key)).length
  t.true(lost() > 0, 'and a power loss would bring it back')
  t.is((await service.conversations.erase('a', null)).erased.remains, 0)
  t.is(lost(), 0)
  await served.close()
})

test('after a kill during an erasure, the next one overwrites what that one did not', async t => {
  const dataDir = temporaryStore(t)
  const disk = new SimulatedDisk('disk')
  const database = new MemoryDatabase()
  const served = simulatedService({ disk }, { dataDir, openDatabase: () => database })
  for (const id of ['a', 'b']) await new Talk(id, id).turn(served.service)
  await served.service.demote('ssd')
  const transfer = served.engine.transfer.bind(served.engine)
  const begun = new Promise<void>(resolve => {
    served.engine.transfer = transfers => {
      transfer(transfers)
      if (transfers.some(({ kind }) => kind === 'erase')) resolve()
    }
  })
  const erasing = served.service.conversations.erase('a', null)
  await begun
  const [left, store] = [disk.afterKill(), database.afterCrash()]
  const slots = left.extents.size
  await erasing
  await served.close()
  const again = simulatedService({ disk: left }, { dataDir, openDatabase: () => store })
  t.is(rowOf(again.service, 'a'), undefined)
  const { blocks, remains } = (await again.service.conversations.erase('b', null)).erased
  t.is(blocks + remains, slots)
  t.true(remains > 0)
  t.is(left.extents.size, 0)
  await again.close()
})
