// What erasing a conversation reaches; docs/design/conversations.md.

import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import type { SimulatedOptions } from '../../ts/engine/simulated/options.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import type { InferenceService } from '../../ts/service/types.js'
import { ask, readTurn, reusedTokens, simulatedService } from '../support/simulated-service.js'
import { codeOf, rowOf, SYSTEM, Talk, temporaryStore, user } from '../support/talk.js'

test('what is erased is gone from every tier, from the disk, and from the records', async t => {
  const disk = new SimulatedDisk('disk')
  const served = simulatedService({ disk }, { dataDir: temporaryStore(t) })
  // Of different tenants, because the words of the template alone are enough for a match.
  const [a, b] = [new Talk('a'), new Talk('b', 'other')]
  const first = await a.turn(served.service)
  await b.turn(served.service)
  await served.service.demote('ssd')
  await served.service.conversations.warm('a', null)
  const { blocks } = (await served.service.conversations.warm('a', null))
  const extents = disk.extents.size
  const receipt = await served.service.conversations.erase('a', null)
  t.like(receipt, { conversation: 'a', tenant: '', recordsErased: 1, keptShared: [] })
  t.deepEqual(receipt.erased.copies, { hbm: blocks - 1, dram: blocks, ssd: blocks })
  t.is(receipt.erased.blocks, blocks)
  const { blockBytes, hostSlotBytes } = served.engine.info
  t.is(receipt.erased.bytes, (blocks - 1) * blockBytes + 2 * blocks * hostSlotBytes)
  t.is(disk.extents.size, extents - blocks)
  t.is(disk.afterPowerLoss().extents.size, extents - blocks, 'the receipt follows a flush')
  served.service.checkIntegrity()
  t.is(rowOf(served.service, 'a'), undefined)
  t.is(await codeOf(served.service.conversations.erase('a', null)), 'not_found')
  const again = new Talk('a')
  t.deepEqual({ ...(await again.turn(served.service)).reusedTokens }, { hbm: 0, dram: 0, ssd: 0 })
  t.is(rowOf(served.service, 'a')?.turns, 1)
  t.is(first.reusedTokens.hbm, 0)
  t.true(reusedTokens(await b.turn(served.service)) > 0)
  t.is(served.service.counters().droppedBlocks['erased'], blocks)
  await served.close()
})

test('what is erased stays erased after a restart, and what was not is found', async t => {
  const dataDir = temporaryStore(t)
  const disk = new SimulatedDisk('disk')
  const engine: Partial<SimulatedOptions> = { disk }
  const service: Partial<ServiceOptions> = { dataDir }
  let served = simulatedService(engine, service)
  const [a, b] = [new Talk('a'), new Talk('b', 'other')]
  for (const talk of [a, b]) await talk.turn(served.service)
  await served.close()
  served = simulatedService(engine, service)
  const { blocks } = rowOf(served.service, 'a')?.tiers.ssd ?? { blocks: 0 }
  t.true(blocks > 0)
  const receipt = await served.service.conversations.erase('a', null)
  t.deepEqual(receipt.erased.copies, { hbm: 0, dram: 0, ssd: blocks })
  await served.close()
  served = simulatedService(engine, service)
  t.is(rowOf(served.service, 'a'), undefined)
  t.is(rowOf(served.service, 'b')?.tiers.ssd.blocks, blocks)
  a.messages.pop()
  t.is(reusedTokens((await ask(served.service, a.request())).usage), 0)
  t.true(reusedTokens(await b.turn(served.service)) > 0)
  await served.close()
})

test('blocks that other conversations use are kept and named, until the last of them is erased', async t => {
  const served = simulatedService()
  const talks = [new Talk('a', '', SYSTEM), new Talk('b', '', SYSTEM), new Talk('c', '', SYSTEM)] as const
  for (const talk of talks) await talk.turn(served.service)
  const a = await served.service.conversations.erase('a', null)
  t.true(a.keptShared.length > 0)
  for (const { key, referrers } of a.keptShared) {
    t.regex(key, /^[0-9a-f]{64}$/)
    t.deepEqual([...referrers].toSorted(), ['b', 'c'])
  }
  t.true(reusedTokens(await talks[1].turn(served.service)) > 0)
  const b = await served.service.conversations.erase('b', null)
  t.deepEqual(b.keptShared, a.keptShared.map(({ key }) => ({ key, referrers: ['c'] })))
  const c = await served.service.conversations.erase('c', null)
  t.deepEqual(c.keptShared, [])
  for (const tier of served.service.cacheStatus().tiers) t.is(tier.blocks.total, 0, tier.name)
  await served.close()
})

test('erasing a fork leaves the conversation it came from, and the other way round', async t => {
  const served = simulatedService({}, { newConversationId: () => 'fork' })
  const talk = new Talk('a')
  await talk.turn(served.service)
  await served.service.conversations.fork('a', null)
  const whole = rowOf(served.service, 'a')?.tiers
  const kept = await served.service.conversations.erase('fork', null)
  t.is(kept.erased.blocks, 0)
  t.deepEqual(rowOf(served.service, 'a')?.tiers, whole)
  await served.service.conversations.fork('a', null)
  await served.service.conversations.erase('a', null)
  t.deepEqual(rowOf(served.service, 'fork')?.tiers, whole)
  await served.close()
})

test('while a turn runs its conversation is not erased, and what it shares with others is kept', async t => {
  const served = simulatedService()
  const [a, b] = [new Talk('a', '', SYSTEM), new Talk('b', '', SYSTEM)]
  await a.turn(served.service)
  b.messages.push(user('a question'))
  // b has not been released yet: only its running turn says that it uses the blocks of the system prompt.
  const running = await served.service.start(b.request())
  t.is(await codeOf(served.service.conversations.erase('b', null)), 'in_use')
  const { keptShared, erased } = await served.service.conversations.erase('a', null)
  t.true(keptShared.length > 0)
  t.deepEqual(keptShared[0]?.referrers, ['b'])
  t.true(erased.blocks > 0)
  t.truthy(await readTurn(running))
  t.is(await codeOf(served.service.conversations.erase('b', null)), 'ok')
  for (const tier of served.service.cacheStatus().tiers) t.is(tier.blocks.total, 0, tier.name)
  await served.close()
})

test('a cancelled turn is waited for, and what it computed is erased too', async t => {
  const served = simulatedService()
  const talk = new Talk('a')
  talk.messages.push(user('a long question '.repeat(40)))
  const turn = await served.service.start(talk.request({ maxTokens: 500 }))
  for await (const _ of turn) break
  const receipt = await served.service.conversations.erase('a', null)
  t.true(receipt.erased.blocks > 0)
  for (const tier of served.service.cacheStatus().tiers) t.is(tier.blocks.total, 0, tier.name)
  await served.close()
})

test('blocks whose transfers are under way are erased, also from the slot that is being written', async t => {
  const disk = new SimulatedDisk('disk')
  const served = simulatedService({ disk, faults: { slowdown: kind => (kind === 'write' ? 1e4 : 1) } })
  const talk = new Talk('a')
  await talk.turn(served.service)
  const receipt = await served.service.conversations.erase('a', null)
  t.true(receipt.erased.copies.ssd > 0)
  t.is(disk.extents.size, 0)
  served.service.checkIntegrity()
  for (const tier of served.service.cacheStatus().tiers) t.is(tier.usedBytes, 0, tier.name)
  await served.close()
})

test('a disk that cannot be overwritten is reported, and the blocks are not found all the same', async t => {
  const served = simulatedService({ faults: { fails: transfer => (transfer.kind === 'erase' ? 'kv_io' : undefined) } })
  const talk = new Talk('a')
  await talk.turn(served.service)
  await served.service.demote('ssd')
  t.is(await codeOf(served.service.conversations.erase('a', null)), 'engine_error')
  talk.messages.pop()
  t.is(reusedTokens((await ask(served.service, talk.request())).usage), 0)
  served.service.checkIntegrity()
  await served.close()
})

const keysOn = (disk: SimulatedDisk): Set<string> => new Set([...disk.extents.values()].map(({ key }) => key))

const without = (keys: Iterable<string>, others: ReadonlySet<string>) => new Set([...keys].filter(key => !others.has(key)))

/** A conversation that was dropped once, and computed again: part of what it lost is overwritten by another by then. */
async function talkThatLeftRemains(service: InferenceService, disk: SimulatedDisk): Promise<ReadonlySet<string>> {
  const [a, b] = [new Talk('a'), new Talk('b', 'other')]
  for (let turn = 0; turn < 5; turn++) await a.turn(service)
  await service.demote('ssd')
  const first = keysOn(disk)
  await service.reset()
  await b.turn(service)
  await service.demote('ssd')
  const others = without(keysOn(disk), first)
  a.messages.length = 2
  await a.turn(service, 'something else')
  await service.demote('ssd')
  return without([...first, ...keysOn(disk)], others)
}

const SMALL = { hbm: 40, dram: 40, ssd: 40 }

test('what a conversation lost before, superseded or pushed out, is overwritten where nobody has used the slot since', async t => {
  const disk = new SimulatedDisk('disk')
  const served = simulatedService({ disk, slots: SMALL })
  const keys = await talkThatLeftRemains(served.service, disk)
  const held = rowOf(served.service, 'a')?.tiers.ssd.blocks ?? 0
  const ofIt = () => [...disk.extents.values()].filter(({ key }) => keys.has(key)).length
  const left = ofIt()
  const others = disk.extents.size - left
  t.true(left > held, `${left} on the disk, ${held} held`)
  t.true([...keys].some(key => !keysOn(disk).has(key)))
  const { erased } = await served.service.conversations.erase('a', null)
  t.is(erased.remains, left - held)
  t.is(ofIt(), 0)
  t.is(disk.extents.size, others)
  served.service.checkIntegrity()
  await served.close()
})

test('what was lost before a restart is overwritten after it', async t => {
  const disk = new SimulatedDisk('disk')
  const dataDir = temporaryStore(t)
  let served = simulatedService({ disk, slots: SMALL }, { dataDir })
  const keys = await talkThatLeftRemains(served.service, disk)
  await served.close()
  served = simulatedService({ disk, slots: SMALL }, { dataDir })
  t.true((await served.service.conversations.erase('a', null)).erased.remains > 0)
  t.deepEqual([...keysOn(disk)].filter(key => keys.has(key)), [])
  t.is((await served.service.conversations.erase('b', null)).erased.remains, 0)
  await served.close()
})

test('what a reset dropped is still found by an erasure, and one that cannot overwrite says so', async t => {
  const disk = new SimulatedDisk('disk')
  let fails = true
  const served = simulatedService({ disk, faults: { fails: transfer => (fails && transfer.kind === 'erase' ? 'kv_io' : undefined) } })
  for (const id of ['a', 'b']) await new Talk(id, id).turn(served.service)
  await served.service.demote('ssd')
  const blocks = rowOf(served.service, 'b')?.tiers.ssd.blocks
  await served.service.reset()
  t.is(await codeOf(served.service.conversations.erase('a', null)), 'engine_error')
  fails = false
  const { erased } = await served.service.conversations.erase('b', null)
  t.like(erased, { blocks: 0, remains: blocks })
  served.service.checkIntegrity()
  await served.close()
})

test('records of requests keep their numbers and lose the ids', async t => {
  const served = simulatedService()
  const [a, b] = [new Talk('a', '', SYSTEM), new Talk('b', '', SYSTEM)]
  for (const talk of [a, b, a]) await talk.turn(served.service)
  const { records } = served.service
  const { mark } = records
  t.is((await served.service.conversations.erase('a', null)).requestsAnonymised, 2)
  const told = records.page(undefined, 10).records
  t.deepEqual(told.map(({ conversation }) => conversation), ['', 'b', ''])
  t.deepEqual(told.map(({ request_id: id }) => id), ['', 'request', ''])
  t.true(told.every(({ prompt_tokens: tokens }) => tokens > 0))
  t.is(records.changedSince(mark, 10).records.length, 2)
  await served.close()
})

test('nothing that stays names an erased conversation: neither its forks, nor the map of blocks that others use', async t => {
  const dataDir = temporaryStore(t)
  const disk = new SimulatedDisk('disk')
  let served = simulatedService({ disk }, { newConversationId: () => 'the-fork', dataDir })
  const a = new Talk('a', '', SYSTEM)
  await a.turn(served.service)
  await served.service.conversations.fork('a', null)
  t.deepEqual(served.service.cacheMap().owners.map(({ conversation }) => conversation), ['', 'a'])
  await served.service.conversations.erase('a', null)
  t.deepEqual(served.service.cacheMap().owners.map(({ conversation }) => conversation), [''])
  t.is(rowOf(served.service, 'the-fork')?.forkedFrom, null)
  await served.close()
  served = simulatedService({ disk }, { dataDir })
  t.is(rowOf(served.service, 'the-fork')?.forkedFrom, null)
  await served.close()
})
