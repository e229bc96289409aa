// A block is durable, and named by a record, when the very bytes of its copy on ssd are flushed.

import test from 'ava'
import { BlockStore } from '../../ts/directory/store.js'
import type { Fault } from '../../ts/protocol/fault.js'
import { Room } from '../../ts/scheduler/moves/room.js'
import { Saver } from '../../ts/scheduler/moves/saver.js'
import { Writer } from '../../ts/scheduler/moves/writer.js'
import { HandDriven } from '../support/hand-driven.js'
import { MemoryDatabase } from '../support/memory-database.js'

/** A writer that flushes as soon as something is written, and the slots that its records name. */
function handDrivenWriter(ssd = 1) {
  const faults: Fault[] = []
  const driven = new HandDriven({ hbm: 1, dram: 2, ssd }, { onFault: fault => faults.push(fault) })
  const table = new MemoryDatabase().table('blocks')
  const store = new BlockStore(table)
  driven.core.events.on('ssdSlotLeft', slot => store.removed(slot))
  const writer = new Writer(driven.core, new Room(driven.core), store)
  writer.hurry()
  return { driven, writer, faults, recorded: () => [...table.entries()].length }
}

test('a block that was evicted from the disk and written again during a flush is durable after the next flush only', t => {
  const { driven, writer, recorded } = handDrivenWriter()
  const { directory } = driven.core
  const block = driven.block('a', 'dram')
  writer.want(block)
  writer.pump()
  driven.end('write')
  writer.pump()
  t.deepEqual(driven.underWay, ['flush'])
  directory.removeCopy(block, 'ssd', 'evicted')
  writer.want(block)
  writer.pump()
  driven.end('write')
  t.true(block.has('ssd'))
  driven.end('flush')
  t.false(block.durable, 'that flush was sent before the second write')
  t.is(recorded(), 0)
  writer.pump()
  driven.end('flush')
  t.true(block.durable)
  t.is(recorded(), 1)
  t.true(writer.isIdle)
})

test('a flush that fails makes nothing durable, and the block is written again', t => {
  const { driven, writer, recorded } = handDrivenWriter()
  const block = driven.block('a', 'dram')
  writer.want(block)
  writer.pump()
  driven.end('write')
  writer.pump()
  driven.end('flush', 'kv_io')
  t.deepEqual([block.durable, block.has('ssd'), recorded()], [false, false, 0])
  writer.pump()
  driven.end('write')
  writer.pump()
  driven.end('flush')
  t.deepEqual([block.durable, recorded()], [true, 1])
})

test('what was under way when a flush failed is not durable after the next one either', t => {
  const { driven, writer, recorded } = handDrivenWriter(2)
  const [first, second] = [driven.block('a', 'dram'), driven.block('b', 'dram')]
  for (const block of [first, second]) writer.want(block)
  writer.pump()
  driven.end('write')
  writer.pump()
  t.deepEqual(driven.underWay, ['write', 'flush'])
  driven.end('write')
  driven.end('flush', 'kv_io')
  writer.pump()
  t.deepEqual(driven.underWay, ['write', 'flush'], 'the first is written again, the second is flushed')
  driven.end('flush')
  t.deepEqual([first.durable, second.durable, recorded()], [false, false, 0])
})

test('a block that cannot be flushed is given up after three times, counted and said: its slot in dram is not held for ever', t => {
  const { driven, writer, faults, recorded } = handDrivenWriter()
  const block = driven.block('a', 'dram')
  writer.want(block)
  for (let time = 0; time < 3; time++) {
    t.false(block.releasable)
    writer.pump()
    driven.end('write')
    writer.pump()
    driven.end('flush', 'kv_io')
  }
  t.true(block.releasable)
  t.deepEqual(driven.core.counters.abandoned, { save: 0, write: 1 })
  t.like(faults, [{ message: 'a block is no longer written to the ssd', code: 'kv_io', context: { failures: 3, ssd_slot: 0, tokens: 64 } }])
  t.deepEqual([block.has('dram'), block.has('ssd'), recorded()], [true, false, 0])
  t.true(writer.isIdle)
})

test('a write that ends makes nothing durable before its flush does', t => {
  const { driven, writer, recorded } = handDrivenWriter()
  const block = driven.block('a', 'dram')
  writer.want(block)
  writer.pump()
  t.deepEqual(driven.underWay, ['write'])
  driven.end('write')
  t.deepEqual([block.durable, recorded()], [false, 0])
  writer.pump()
  t.deepEqual([block.durable, recorded()], [false, 0])
  driven.end('flush')
  t.deepEqual([block.durable, recorded()], [true, 1])
})

for (const [kind, tier, message] of [
  ['save', 'hbm', 'a block is no longer saved to dram'],
  ['write', 'dram', 'a block is no longer written to the ssd'],
] as const) {
  test(`a ${kind} that fails is tried three times, then the block is counted and the log has its reason, once`, t => {
    const { driven, writer, faults } = handDrivenWriter()
    const saver = new Saver(driven.core, new Room(driven.core), writer)
    const mover = kind === 'save' ? saver : writer
    const block = driven.block('a', tier)
    mover.want(block)
    for (let time = 0; time < 3; time++) {
      t.deepEqual([block.releasable, faults.length], [false, 0])
      mover.pump()
      driven.end(kind, 'kv_io')
    }
    t.true(block.releasable)
    mover.want(block)
    mover.pump()
    t.deepEqual(driven.underWay, [])
    // A turn that uses it gives it another chance, in vain.
    block.releasable = false
    mover.want(block)
    mover.pump()
    driven.end(kind, 'kv_io')
    t.true(block.releasable)
    t.is(driven.core.counters.abandoned[kind], 1)
    t.like(faults, [{ message, code: 'kv_io', context: { failures: 3, block: 0, tokens: 64 } }])
  })
}
