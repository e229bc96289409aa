// Memory of the tiers comes as it is used.

import test from 'ava'
import { SlotPool } from '../../ts/directory/slots.js'
import type { SimulatedMemory, SimulatedOptions } from '../../ts/engine/simulated/options.js'
import type { SlotTierName } from '../../ts/engine/types.js'
import type { Fault } from '../../ts/protocol/fault.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import type { TurnRequest } from '../../ts/service/types.js'
import { ask, chat, simulatedService } from '../support/simulated-service.js'

const SLOTS = { hbm: 200, dram: 300, ssd: 0 }

/** Slots of 64 MiB, so that one or two are kept ahead. */
const memory = (given: Partial<SimulatedMemory> = {}): SimulatedMemory => ({ atStart: 4, stepSlots: 4, stepMs: 5, most: () => Infinity, ...given })

function serve(given: Partial<SimulatedMemory> = {}, options: Partial<ServiceOptions> = {}, engine: Partial<SimulatedOptions> = {}) {
  const failures: unknown[] = []
  const faults: Fault[] = []
  const served = simulatedService({ slots: SLOTS, vocabSize: 8192, memory: memory(given), ...engine }, { onFault: fault => faults.push(fault), ...options }, failures)
  const tier = (name: SlotTierName) => {
    const status = served.service.cacheStatus().tiers.find(row => row.name === name)
    if (!status) throw new Error(name)
    const slotBytes = served.engine.info[name === 'hbm' ? 'blockBytes' : 'hostSlotBytes']
    return { capacity: status.capacityBlocks, committed: status.committedBytes / slotBytes, used: status.usedBytes / slotBytes, blocks: status.blocks.total }
  }
  return { ...served, failures, faults, tier }
}

function prompt(length: number, from = 1000, rest: Partial<TurnRequest> = {}): TurnRequest {
  const tokens = Uint32Array.from({ length }, (_, i) => from + ((i * 7919) % 5000))
  return chat([], { prompt: { kind: 'tokens', tokens }, ignoreEos: true, maxTokens: 8, ...rest })
}

test('slots are handed out only once their memory is there, and those that were there before go first', t => {
  const pool = new SlotPool(10, 2)
  t.deepEqual([pool.take(), pool.take(), pool.take()], [0, 1, -1])
  t.deepEqual([pool.total, pool.committed, pool.used, pool.free], [10, 2, 2, 0])
  pool.give(0)
  const before = pool.version
  pool.commit(5)
  t.true(pool.version > before)
  t.deepEqual([pool.take(), pool.take(), pool.take(), pool.take(), pool.take()], [0, 2, 3, 4, -1])
  pool.commit(3)
  t.is(pool.committed, 5, 'never fewer')
  pool.commit(99)
  t.is(pool.committed, 10)
})

test('a tier that is short has the slots that it got', t => {
  const pool = new SlotPool(10, 2)
  pool.isShort = true
  t.is(pool.total, 2)
  pool.commit(4)
  pool.isShort = false
  t.is(pool.total, 10)
})

test('an idle server takes what it has at the start and a step ahead, and no more', async t => {
  const served = serve()
  await ask(served.service, prompt(10))
  await served.clock.advance(600_000)
  const ahead = Math.ceil((64 * 2 ** 20) / served.engine.info.blockBytes)
  t.true(served.tier('hbm').committed <= 4 + 4 + 2 * ahead, `${served.tier('hbm').committed} slots`)
  t.is(served.tier('hbm').capacity, SLOTS.hbm)
  t.deepEqual(served.failures, [])
  await served.close()
})

test('tiers grow up to their bounds before anything is given up, and not beyond', async t => {
  const served = serve()
  for (let i = 0; i < 12; i++) await ask(served.service, prompt(900, 1000 + i))
  // 12 prompts of 15 blocks: hbm holds 200 slots of them.
  t.deepEqual(Object.values(served.service.counters().droppedBlocks).filter(Boolean), [], 'nothing was given up')
  t.true(served.tier('hbm').blocks >= 170)
  for (let i = 12; i < 40; i++) await ask(served.service, prompt(900, 1000 + i))
  t.deepEqual([served.tier('hbm').committed, served.tier('dram').committed], [SLOTS.hbm, SLOTS.dram])
  t.deepEqual(served.failures, [])
  await served.close()
})

test('answers and reuse are those of a server that has all of its memory from the start', async t => {
  const run = async (given: Partial<SimulatedOptions>) => {
    const served = serve({ stepMs: 40 }, {}, given)
    const answers = []
    for (let turn = 0; turn < 3; turn++) {
      const asked = [0, 1, 2, 3].map(i => ask(served.service, prompt(300 + 200 * turn, 1000 + 3 * i)))
      answers.push(...(await Promise.all(asked)))
    }
    t.deepEqual(served.failures, [])
    await served.close()
    return answers.map(({ tokens, usage }) => [tokens, usage.computedTokens])
  }
  t.deepEqual(await run({}), await run({ memory: null }))
})

test('a tier for which there is no memory stays as it is: it is said once, its capacity is what it has, and turns go on', async t => {
  const served = serve({ most: tier => (tier === 'dram' ? 40 : 100) })
  for (let i = 0; i < 20; i++) await ask(served.service, prompt(900, 1000 + i))
  t.true(served.tier('dram').capacity <= 40 && served.tier('hbm').capacity <= 100)
  t.is(served.tier('dram').capacity, served.tier('dram').committed)
  t.deepEqual(served.faults.map(({ code }) => code).sort(), ['memory_low', 'memory_low'])
  t.regex(served.faults[0]?.message ?? '', /tier stays at \d+ blocks/)
  t.deepEqual(served.failures, [])
  await served.close()
})

test('a tier that was refused memory grows again when there is some', async t => {
  let most = 40
  const served = serve({ most: () => most })
  for (let i = 0; i < 8; i++) await ask(served.service, prompt(900, 1000 + i))
  t.true(served.tier('hbm').capacity <= 40)
  most = Infinity
  await served.clock.advance(30_000)
  for (let i = 0; i < 20; i++) await ask(served.service, prompt(900, 2000 + i))
  t.is(served.tier('hbm').capacity, SLOTS.hbm)
  t.deepEqual(served.failures, [])
  await served.close()
})

test('a request that needs more than there is memory for ends with an error, and those beside it do not', async t => {
  const served = serve({ most: () => 12 })
  const tooMuch = await t.throwsAsync(ask(served.service, prompt(1500)), { message: /no memory for more than \d+ blocks/ })
  t.is((tooMuch as { code?: string }).code, 'out_of_memory')
  const { usage } = await ask(served.service, prompt(300, 2000))
  t.is(usage.computedTokens, 300)
  t.deepEqual(served.failures, [])
  await served.close()
})
