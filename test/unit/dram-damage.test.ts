// Memory that changes what was stored in it: the block is found there no more, the slot is not used again, and what lies
// sound in another tier serves.

import test from 'ava'
import { SlotPool } from '../../ts/directory/slots.js'
import type { Faults } from '../../ts/engine/simulated/options.js'
import type { Transfer } from '../../ts/engine/types.js'
import type { Fault } from '../../ts/protocol/fault.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import { ask, chat, reusedTokens, simulatedService } from '../support/simulated-service.js'

const question = 'a question that is long enough to fill a few blocks of tokens. '.repeat(6)
const asked = chat([{ role: 'user', content: question }], { conversation: 'c', maxTokens: 24, ignoreEos: true })

type Transferred = Parameters<NonNullable<Faults['fails']>>[0]

/** `error`: what a transfer of a damaged slot, or one beside it, ends with. */
function served(error: (transfer: Transferred) => string | undefined, options: Partial<ServiceOptions> = {}, slots = { hbm: 64, dram: 128, ssd: 512 }) {
  const said: Fault[] = []
  const failures: unknown[] = []
  const made = simulatedService({ slots, faults: { fails: error } }, { onFault: fault => said.push(fault), ...options }, failures)
  const dram = () => made.service.cacheStatus().tiers.find(({ name }) => name === 'dram')
  return { ...made, said, failures, dram }
}

const isOf = (transfer: Transferred, kind: Transfer['kind']): transfer is Extract<Transfer, { kind: typeof kind }> => transfer.kind === kind

/** Damages the first transfer of the kind and names its slot. */
function first(kind: 'load' | 'write' | 'check') {
  const damaged: number[] = []
  const error = (transfer: Transferred): string | undefined => {
    if (!isOf(transfer, kind) || !('dramSlot' in transfer) || damaged.length > 0) return undefined
    damaged.push(transfer.dramSlot)
    return 'dram_damaged'
  }
  return { damaged, error }
}

test('a load of a damaged slot costs no block that lies sound on the ssd', async t => {
  const { damaged, error } = first('load')
  const { service, close, said, failures } = served(error)
  const before = await ask(service, asked)
  await service.demote('dram')
  const after = await ask(service, asked)
  t.is(damaged.length, 1)
  t.is(after.text, before.text)
  // The answer's own blocks are not asked for: all of the prompt but its last token.
  t.is(reusedTokens(after.usage), after.usage.promptTokens - 1)
  t.is(service.counters().promotedBlocks, 1, 'the damaged block came from the ssd')
  t.deepEqual(said.map(({ code }) => code).filter(code => code === 'dram_damaged').length, 2, 'the load and the slot are said')
  t.is(service.counters().missedTokens.damaged, 0)
  t.deepEqual(failures, [])
  await close()
})

test('without a tier below a damaged block is a miss, counted as such, and computed again', async t => {
  const { error } = first('load')
  const { service, close, failures } = served(error, {}, { hbm: 64, dram: 128, ssd: 0 })
  const before = await ask(service, asked)
  await service.demote('dram')
  const after = await ask(service, asked)
  t.is(after.text, before.text)
  t.true(service.counters().missedTokens.damaged > 0)
  t.is(service.counters().droppedBlocks['damaged'], 1)
  t.deepEqual(failures, [])
  await close()
})

test('loads beside a damaged one cost nothing: their blocks are loaded again', async t => {
  let left = 2
  const { service, close, failures } = served(transfer => (isOf(transfer, 'load') && left-- > 0 ? 'batch_damaged' : undefined), {}, { hbm: 64, dram: 128, ssd: 0 })
  const before = await ask(service, asked)
  await service.demote('dram')
  const after = await ask(service, asked)
  t.is(after.text, before.text)
  t.is(reusedTokens(after.usage), after.usage.promptTokens - 1)
  t.is(service.counters().missedTokens.damaged, 0)
  t.is(service.counters().droppedBlocks['damaged'], 0)
  t.deepEqual(failures, [])
  await close()
})

test('a damaged slot is not written down, and its block is saved and written anew from hbm', async t => {
  const { damaged, error } = first('write')
  const { service, engine, close, dram, failures } = served(error)
  await ask(service, asked)
  await service.demote('ssd')
  t.is(damaged.length, 1)
  const blocks = service.cacheStatus().tiers.find(({ name }) => name === 'ssd')?.blocks.total ?? 0
  t.is(engine.info.slots.dram - 1, dram()?.capacityBlocks ?? 0)
  const after = await ask(service, asked)
  t.is(reusedTokens(after.usage), after.usage.promptTokens - 1)
  t.true(blocks >= Math.floor(after.usage.promptTokens / 64))
  t.deepEqual(failures, [])
  await close()
})

test('the scrub compares every block in dram again and again, at its rate, and gives up what it finds damaged', async t => {
  const checked: number[] = []
  const damage = first('check')
  const { service, engine, clock, close, dram, failures } = served(
    transfer => {
      if (isOf(transfer, 'check') && 'dramSlot' in transfer) checked.push(transfer.dramSlot)
      return damage.error(transfer)
    },
    { scrubRate: 1 },
  )
  await ask(service, asked)
  await service.demote('dram')
  const blocks = dram()?.blocks.total ?? 0
  t.true(blocks > 2)
  t.is(checked.length, 0, 'a byte a second is not enough for a block')
  await close()

  const quick = served(transfer => (isOf(transfer, 'check') && 'dramSlot' in transfer ? (checked.push(transfer.dramSlot), damage.error(transfer)) : undefined), {
    scrubRate: 2 * engine.info.blockBytes,
  })
  await ask(quick.service, asked)
  await quick.service.demote('dram')
  await clock.advance(0)
  await quick.clock.advance((blocks + 2) * 500)
  const [damaged] = damage.damaged
  t.true(new Set(checked).size >= blocks, `${checked.join(' ')} of ${blocks}`)
  t.is(checked.filter(slot => slot === damaged).length, 1, 'a retired slot is compared no more')
  t.is(quick.engine.stats().dramDamaged, 1)
  const after = await ask(quick.service, asked)
  t.is(reusedTokens(after.usage), after.usage.promptTokens - 1, 'the block came from the ssd')
  t.deepEqual([...failures, ...quick.failures], [])
  await quick.close()
})

test('a retired slot is handed out no more, once nothing names it', t => {
  const pool = new SlotPool(3)
  const slot = pool.take()
  pool.pin(slot)
  pool.retire(slot)
  t.is(pool.used, 1)
  pool.give(slot)
  t.deepEqual([pool.cooling, pool.retired], [1, 0])
  pool.unpin(slot)
  t.deepEqual([pool.cooling, pool.retired, pool.free, pool.used], [0, 1, 2, 0])
  t.deepEqual([pool.take(), pool.take(), pool.take()].filter(each => each === slot), [])
  t.throws(() => new SlotPool(1).retire(0))
})
