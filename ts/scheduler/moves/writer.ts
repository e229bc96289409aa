// Write-through: dram → ssd in the background, then a flush, then the commit that names the block.

import type { Block } from '../../directory/block.js'
import type { Reservation } from '../../directory/reservation.js'
import type { BlockStore } from '../../directory/store.js'
import type { TransferDone } from '../../engine/types.js'
import type { Core } from '../core/core.js'
import type { Room } from './room.js'

/** Writes under way at once. */
const MOST_WRITES = 8
/** A block whose write failed this often is not tried again and may leave dram. */
const MOST_FAILURES = 3

export class Writer {
  readonly #core: Core
  readonly #room: Room
  readonly #store: BlockStore | null
  readonly #dirty = new Set<Block>()
  readonly #failures = new WeakMap<Block, number>()
  /** Written, not flushed. */
  #written: Block[] = []
  #inFlight = 0
  #isFlushing = false
  #cancelTimer: (() => void) | null = null
  /** Those that wait for a flush. */
  #hurries = 0

  constructor(core: Core, room: Room, store: BlockStore | null) {
    this.#core = core
    this.#room = room
    this.#store = store
    core.events.on('dramLetGo', block => this.releaseStaging(block))
  }

  /** Blocks that hold a dram slot until they are durable. */
  get backlog(): number {
    return this.#dirty.size + this.#inFlight + this.#written.length
  }

  get isIdle(): boolean {
    return this.#inFlight === 0 && !this.#isFlushing && this.#written.length === 0 && this.#dirty.size === 0
  }

  /** Sees to it that a block in dram is written, unless it is or cannot be. */
  want(block: Block): void {
    if (this.#core.tiers.ssd && !block.gone && block.copies.ssd.state === 'absent' && block.has('dram') && !block.releasable) {
      this.#dirty.add(block)
    }
  }

  pump(): void {
    for (const block of this.#dirty) {
      if (this.#inFlight >= MOST_WRITES) break
      const isPending = !block.gone && block.has('dram') && block.copies.ssd.state === 'absent'
      const ssd = isPending ? this.#room.take('ssd') : null
      if (isPending && !ssd) break
      this.#dirty.delete(block)
      if (ssd) this.#write(block, ssd)
    }
    this.#pumpFlush()
  }

  /** Flushes at every chance until the returned function is called. Others may hurry at the same time. */
  hurry(): () => void {
    this.#hurries++
    let isOver = false
    return () => {
      if (!isOver) this.#hurries--
      isOver = true
    }
  }

  close(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
  }

  /** A staging slot is given back as soon as its block is durable and nothing reads it. */
  releaseStaging(block: Block): void {
    const { directory, tiers } = this.#core
    if (tiers.dram || block.gone || !block.has('dram') || !(block.durable || block.releasable)) return
    if (directory.pools.dram.isIdle(block.copies.dram.slot)) directory.removeCopy(block, 'dram')
  }

  #write(block: Block, ssd: Reservation): void {
    const { slot } = ssd
    const { directory, desk } = this.#core
    const dramSlot = block.copies.dram.slot
    ssd.become(block, 'filling')
    directory.pools.dram.pin(dramSlot)
    directory.pools.ssd.pin(slot)
    this.#inFlight++
    const { key, valid } = block
    desk.send({ kind: 'write', dramSlot, ssdSlot: slot, key, valid }, done => {
      this.#inFlight--
      directory.pools.dram.unpin(dramSlot)
      directory.pools.ssd.unpin(slot)
      this.#ended(block, done)
    })
  }

  #ended(block: Block, done: TransferDone): void {
    if (block.gone || block.copies.ssd.state !== 'filling') return
    const { directory, counters, journal } = this.#core
    if (done.error === undefined) {
      journal.left('write', block, done.ms, true)
      directory.complete(block, 'ssd')
      counters.demotedBlocks++
      this.#written.push(block)
      return
    }
    const failures = (this.#failures.get(block) ?? 0) + 1
    this.#failures.set(block, failures)
    if (failures >= MOST_FAILURES) block.releasable = true
    directory.removeCopy(block, 'ssd', 'damaged')
    this.want(block)
    this.releaseStaging(block)
  }

  #pumpFlush(): void {
    if (this.#isFlushing || this.#written.length === 0) return
    if (this.#hurries > 0 || this.#room.isDramShort || this.#written.length >= 64) return this.#flush()
    this.#cancelTimer ??= this.#core.clock.after(this.#core.options.commitIntervalMs, () => {
      this.#cancelTimer = null
      this.#flush()
      this.#core.desk.flush()
    })
  }

  #flush(): void {
    if (this.#isFlushing || this.#written.length === 0) return
    const batch = this.#written
    this.#written = []
    this.#isFlushing = true
    this.#core.events.emit('flushing')
    this.#core.desk.send({ kind: 'flush' }, done => {
      this.#isFlushing = false
      if (done.error === undefined) for (const block of batch) this.#becameDurable(block)
      else for (const block of batch) this.#notDurable(block)
    })
  }

  #becameDurable(block: Block): void {
    if (block.gone || !block.has('ssd')) return
    const { directory } = this.#core
    block.durable = true
    directory.pools.dram.version++
    this.#store?.put(block)
    for (const old of directory.superseded(block)) {
      const { hbm, dram, ssd } = old.copies
      if (hbm.state === 'filling' || dram.state === 'filling' || ssd.state === 'filling') continue
      directory.removeCopy(old, 'hbm')
      directory.removeCopy(old, 'dram')
      directory.removeCopy(old, 'ssd')
    }
    this.releaseStaging(block)
  }

  /** The flush failed: the bytes can be read now, but nothing may rely on them after a crash. */
  #notDurable(block: Block): void {
    if (block.gone || !block.has('ssd')) return
    block.releasable = true
    this.releaseStaging(block)
  }
}
