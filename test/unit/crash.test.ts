// What a crash may cost: misses, never a record of bytes that are not there, nor erased bytes that are.

import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import { MemoryDatabase } from '../support/memory-database.js'
import { ask, reusedTokens, simulatedService } from '../support/simulated-service.js'
import { rowOf, Talk, temporaryStore } from '../support/talk.js'

const KEY_BYTES = 32

/** Keys and slots that the store names. */
function recordsOf(database: MemoryDatabase) {
  const records = [...database.table('blocks').entries()].filter(({ key }) => Buffer.from(key).toString() !== 'meta')
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
