// A block is durable, and named by a record, when the very bytes of its copy on ssd are flushed.

import test from 'ava'
import { BlockStore } from '../../ts/directory/store.js'
import { Room } from '../../ts/scheduler/moves/room.js'
import { Writer } from '../../ts/scheduler/moves/writer.js'
import { HandDriven } from '../support/hand-driven.js'
import { MemoryDatabase } from '../support/memory-database.js'

/** A writer that flushes as soon as something is written, and the slots that its records name. */
function handDrivenWriter() {
  const driven = new HandDriven({ hbm: 1, dram: 2, ssd: 1 })
  const table = new MemoryDatabase().table('blocks')
  const store = new BlockStore(table)
  driven.core.directory.ssdListener = store
  const writer = new Writer(driven.core, new Room(driven.core), store)
  writer.isUrgent = true
  return { driven, writer, recorded: () => [...table.entries()].length }
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

test('a flush that fails makes nothing durable, and no record names the block', t => {
  const { driven, writer, recorded } = handDrivenWriter()
  const block = driven.block('a', 'dram')
  writer.want(block)
  writer.pump()
  driven.end('write')
  writer.pump()
  driven.end('flush', 'kv_io')
  t.false(block.durable)
  t.is(recorded(), 0)
  t.true(block.releasable, 'its slot in dram is not held for ever')
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
