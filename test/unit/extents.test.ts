// The ssd tier takes its room on the disk as it fills, shares it with other models, and lives with a disk that has none.

import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import type { SimulatedMemory, SimulatedOptions } from '../../ts/engine/simulated/options.js'
import { BLOCK_TOKENS, type SlotTierName } from '../../ts/engine/types.js'
import type { DiskReport } from '../../ts/protocol/disk.js'
import type { Fault } from '../../ts/protocol/fault.js'
import { MemoryDatabase } from '../support/memory-database.js'
import { reusedTokens, simulatedService } from '../support/simulated-service.js'
import { Talk } from '../support/talk.js'

/** hbm and dram are there as a whole; ssd comes in steps of 4 slots, as many as the disk has room for. */
const disk = (room: () => number = () => Infinity): SimulatedMemory => ({
  atStart: 4,
  stepSlots: 4,
  stepMs: 5,
  most: tier => (tier === 'ssd' ? room() : Infinity),
})

function serve(given: Partial<SimulatedOptions>, database = new MemoryDatabase()) {
  const failures: unknown[] = []
  const faults: Fault[] = []
  const disks: DiskReport[] = []
  const options = { dataDir: '/nowhere', openDatabase: () => database, onFault: (fault: Fault) => faults.push(fault), onDisk: (report: DiskReport) => disks.push(report) }
  const served = simulatedService({ slots: { hbm: 40, dram: 40, ssd: 400 }, memory: disk(), ...given }, options, failures)
  const ssd = () => served.service.cacheStatus().tiers.find(({ name }) => name === 'ssd')
  return { ...served, failures, faults, disks, ssd, database }
}

type Served = ReturnType<typeof serve>

/** Conversations of three turns each, all of their blocks durable at the end. */
async function talkTo({ service }: Served, names: readonly string[]): Promise<Talk[]> {
  const talks = names.map(name => new Talk(name))
  for (const talk of talks) for (let turn = 0; turn < 3; turn++) await talk.turn(service)
  await service.demote('ssd')
  return talks
}

/** A server of one of the models on a disk, under a bound of `ssd` slots; `work` with it, and it closes. */
async function serverOf<Result>(model: string, all: SimulatedDisk, database: MemoryDatabase, ssd: number, work: (served: Served) => Promise<Result>): Promise<Result & { faults: Fault[] }> {
  const served = serve({ disk: all.of(model), slots: { hbm: 40, dram: 40, ssd } }, database)
  const result = await work(served)
  await served.close()
  if (served.failures.length > 0) throw served.failures[0]
  return { ...result, faults: served.faults }
}

test('a new tier takes what it has at the start and a step ahead, and grows as it fills', async t => {
  const served = serve({})
  const committed = () => (served.ssd()?.committedBytes ?? 0) / served.engine.info.hostSlotBytes
  t.is(committed(), 4)
  await new Talk('one').turn(served.service)
  await served.clock.advance(600_000)
  const ahead = Math.ceil((64 * 2 ** 20) / served.engine.info.hostSlotBytes)
  const used = (served.ssd()?.usedBytes ?? 0) / served.engine.info.hostSlotBytes
  t.true(used > 0 && committed() <= used + 2 * ahead && committed() < 400, `${committed()} of 400, ${used} used`)
  await talkTo(served, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
  t.deepEqual(Object.values(served.service.counters().droppedBlocks).filter(Boolean), [], 'it grew before it gave anything up')
  t.is(served.ssd()?.shortage, null)
  t.deepEqual([served.failures, served.faults], [[], []])
  await served.close()
})

test('models A, B, A: where the bound holds both, A finds its blocks again', async t => {
  const [all, database] = [new SimulatedDisk('A'), new MemoryDatabase()]
  const { talks } = await serverOf('A', all, database, 400, async served => ({ talks: await talkTo(served, ['a', 'b']) }))
  const other = await serverOf('B', all, database, 400, async served => ({ talks: await talkTo(served, ['b', 'c']) }))
  t.deepEqual(other.faults, [])
  const again = await serverOf('A', all, database, 400, async ({ service }) => {
    const usages = []
    for (const talk of talks) usages.push(await talk.turn(service))
    return { usages, dropped: service.counters().droppedBlocks['foreign'] }
  })
  for (const { reusedTokens: { ssd }, promptTokens } of again.usages) t.true(ssd > 0.6 * promptTokens, `${ssd} of ${promptTokens}`)
  t.deepEqual([again.dropped, again.faults], [0, []])
})

test('another model’s extents go with their records where there is no room for both, and the log says so', async t => {
  const [all, database] = [new SimulatedDisk('A'), new MemoryDatabase()]
  const bound = 60
  const { talks } = await serverOf('A', all, database, bound, async served => ({ talks: await talkTo(served, ['a', 'b']) }))
  const before = all.extents.size
  const { faults, dropped } = await serverOf('B', all, database, bound, async served => {
    await talkTo(served, ['c', 'd'])
    return { dropped: served.service.counters().droppedBlocks['foreign'] ?? 0 }
  })
  t.true(faults.length > 0 && faults.every(({ code, message }) => code === 'foreign_blocks' && /another model/.test(message)))
  t.is(dropped, before - all.extents.size)
  t.true(dropped > 0)
  const records = [...database.table('blocks').entries()].filter(({ key }) => Buffer.from(key).toString().startsWith('mA\ns'))
  t.is(records.length, all.extents.size, 'records go with their extents, and no others')
  const again = await serverOf('A', all, database, bound, async ({ service }) => {
    for (const talk of talks) await talk.turn(service)
    return { damaged: service.counters().failedTransfers }
  })
  t.deepEqual(again.damaged, [], 'no record names a slot that is gone')
})

test('an erasure reaches the blocks of another model, and leaves those of other conversations', async t => {
  const [all, database] = [new SimulatedDisk('A'), new MemoryDatabase()]
  const { talks, own } = await serverOf('A', all, database, 400, async served => {
    const [gone] = await talkTo(served, ['gone'])
    const own = all.extents.size
    return { own, talks: [gone as Talk, ...(await talkTo(served, ['kept']))] }
  })
  const before = all.extents.size
  const { erased } = await serverOf('B', all, database, 400, async ({ service }) => ({ erased: (await service.conversations.erase('gone', null)).erased }))
  t.is(erased.remains, own)
  t.is(all.extents.size, before - own)
  const again = await serverOf('A', all, database, 400, async ({ service }) => {
    const usages = []
    for (const talk of talks) usages.push(await talk.turn(service))
    return { usages }
  })
  // What both conversations begin with is in the block that was kept.
  t.true(reusedTokens(again.usages[0] as never) < BLOCK_TOKENS)
  t.true(reusedTokens(again.usages[1] as never) > 0)
})

test('an erasure that the disk refuses says so, and the next one overwrites what it left', async t => {
  const [all, database] = [new SimulatedDisk('A'), new MemoryDatabase()]
  await serverOf('A', all, database, 400, async served => ({ talks: await talkTo(served, ['gone', 'next']) }))
  const before = all.extents.size
  let isBroken = true
  const faults = { fails: ({ kind }: { readonly kind: string }) => (kind === 'erase_foreign' && isBroken ? 'kv_io' : undefined) }
  const served = serve({ disk: all.of('B'), faults }, database)
  await t.throwsAsync(served.service.conversations.erase('gone', null), { message: /slots of other models/ })
  t.is(all.extents.size, before)
  isBroken = false
  await served.service.conversations.erase('next', null)
  t.is(all.extents.size, 0)
  await served.close()
})

test('a disk that refuses more freezes the tier at its size: it is said once, turns go on, and it grows when there is room', async t => {
  let room = 12
  const served = serve({ memory: disk(() => room), slots: { hbm: 40, dram: 40, ssd: 400 } })
  await talkTo(served, ['a', 'b', 'c', 'd'])
  const { capacityBlocks, shortage } = served.ssd() ?? {}
  t.is(capacityBlocks, 12)
  t.regex(shortage ?? '', /12 slots/)
  t.deepEqual(served.disks.map(({ part, state }) => [part, state]), [['growth', 'full']])
  t.deepEqual(served.faults.map(({ code }) => code), ['kv_no_space'])
  t.regex(served.faults[0]?.message ?? '', /^the ssd tier stays at \d+ blocks: there is no room on the disk/)
  room = Infinity
  await served.clock.advance(30_000)
  t.is(served.disks.at(-1)?.state, 'ok', 'without a request')
  await talkTo(served, ['e', 'f', 'g'])
  t.true((served.ssd()?.usedBytes ?? 0) / served.engine.info.hostSlotBytes > 12)
  t.deepEqual([served.ssd()?.shortage, served.disks.at(-1)?.state], [null, 'ok'])
  t.deepEqual(served.failures, [])
  await served.close()
})

for (const dramStagingOnly of [false, true]) {
  test(`a disk that is full from the start costs no turn${dramStagingOnly ? ', also where dram only stages' : ''}, and blocks are written once it has room`, async t => {
    let room = 0
    const slots: Record<SlotTierName, number> = { hbm: 24, dram: dramStagingOnly ? 4 : 12, ssd: 400 }
    const served = serve({ memory: disk(() => room), slots, dramStagingOnly, disk: new SimulatedDisk('full') })
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']) await new Talk(name).turn(served.service)
    t.true((served.service.counters().droppedBlocks['evicted'] ?? 0) > 0, 'old blocks leave dram although they cannot be written')
    t.is(served.ssd()?.capacityBlocks, 0)
    t.deepEqual(served.faults.map(({ code }) => code), ['kv_no_space'])
    room = Infinity
    await served.clock.advance(30_000)
    const talk = new Talk('last')
    await talk.turn(served.service)
    await talk.turn(served.service)
    await served.service.demote('ssd')
    t.true((served.ssd()?.usedBytes ?? 0) > 0)
    t.deepEqual(served.failures, [])
    await served.close()
  })
}

test('a server that starts while the disk is full serves the blocks that it has', async t => {
  const [all, database] = [new SimulatedDisk('A'), new MemoryDatabase()]
  const { talks } = await serverOf('A', all, database, 400, async served => ({ talks: await talkTo(served, ['a']) }))
  const served = serve({ disk: all.of('A'), memory: disk(() => 0) }, database)
  const usage = await (talks[0] as Talk).turn(served.service)
  t.true(usage.reusedTokens.ssd > 0)
  t.deepEqual(served.failures, [])
  await served.close()
})
