// Write-through: dram → ssd in the background. The store says for whom a slot is written before its bytes are; then the
// write, then a flush, then the commit that names the block.

import type { Block, CopyState } from '../../directory/block.js'
import type { Reservation } from '../../directory/reservation.js'
import type { BlockStore } from '../../directory/store.js'
import type { TransferDone, WrittenBlock } from '../../engine/types.js'
import { SLOT_TIERS } from '../../protocol/tiers.js'
import type { Core } from '../core/core.js'
import { isDramDamage, quarantine } from './dram-damage.js'
import { Retries, STORE_REFUSED } from './retries.js'
import type { HeldTransfer } from '../core/transfer-desk.js'
import type { Room } from './room.js'

/** Writes under way at once. */
const MOST_WRITES = 8
/** Writes that have a slot, where the store is told of each first: while it commits, the disk has others to write. */
const MOST_BEGUN = 2 * MOST_WRITES

/** One write. A block may leave the disk and be written again, to the same slot too, before the first write is flushed. */
interface Write {
  readonly block: Block
  readonly slot: number
  /** Flushes that had failed before it. */
  readonly failures: number
}

/** A block as its header is to describe it. */
function described({ key, parent, index, view, lastUse, tokens }: Block): WrittenBlock {
  return { key, parent, index, view: view ?? undefined, lastUse: Math.max(0, Math.floor(lastUse)), tokens }
}

export class Writer {
  readonly #core: Core
  readonly #room: Room
  readonly #store: BlockStore | null
  readonly #dirty = new Set<Block>()
  readonly #retries: Retries
  /** The last write of each block: what ends for an earlier one says nothing of the copy that is there. */
  readonly #latest = new WeakMap<Block, Write>()
  /** Written, not flushed. */
  #written: Write[] = []
  /** Writes that have a slot and have not ended; of these, those that may be sent, and those that were. */
  #inFlight = 0
  readonly #ready: HeldTransfer[] = []
  readonly #sent = new Set<HeldTransfer>()
  #isFlushing = false
  #isClosed = false
  #cancelTimer: (() => void) | null = null
  /** Those that wait for a flush. */
  #hurries = 0

  constructor(core: Core, room: Room, store: BlockStore | null) {
    this.#core = core
    this.#room = room
    this.#store = store
    this.#retries = new Retries(core, 'write', 'a block is no longer written to the ssd')
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
    if (this.#core.directory.pools.ssd.total === 0) this.#giveUpDirty()
    const most = this.#core.directory.remains.isKept ? MOST_BEGUN : MOST_WRITES
    for (const block of this.#dirty) {
      if (this.#inFlight >= most) break
      const isPending = !block.gone && block.has('dram') && block.copies.ssd.state === 'absent'
      const ssd = isPending ? this.#room.take('ssd') : null
      if (isPending && !ssd) break
      this.#dirty.delete(block)
      if (ssd) this.#write(block, ssd)
    }
    this.#pumpFlush()
  }

  /** The disk has no room for a single slot: what waits to be written may go without, until a turn uses it again. */
  #giveUpDirty(): void {
    for (const block of this.#dirty) {
      block.releasable = true
      this.releaseStaging(block)
    }
    this.#dirty.clear()
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

  /** Nothing is sent any more. */
  close(): void {
    this.#isClosed = true
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
    const { directory, desk, engine, events } = this.#core
    const dramSlot = block.copies.dram.slot
    ssd.become(block, 'filling')
    directory.pools.dram.pin(dramSlot)
    directory.pools.ssd.pin(slot)
    this.#inFlight++
    const write: Write = { block, slot, failures: this.#core.flushes.failures }
    this.#latest.set(block, write)
    const held = desk.hold({ kind: 'write', dramSlot, ssdSlot: slot, block: described(block) }, done => {
      this.#inFlight--
      if (this.#sent.delete(held)) this.#sendReady()
      directory.pools.dram.unpin(dramSlot)
      directory.pools.ssd.unpin(slot)
      if (isDramDamage(done)) return this.#hasNothing(write, dramSlot)
      this.#ended(write, done)
    })
    const announced = directory.remains.writing(slot, directory.usersOf(block))
    const send = (): void => {
      this.#ready.push(held)
      this.#sendReady()
    }
    if (!announced) return send()
    const refuse = (): void => engine.onEvents([{ kind: 'transfer', id: held.id, error: STORE_REFUSED, bytes: 0, ms: 0 }])
    announced.then(send, refuse).then(() => this.#isClosed || desk.flush()).catch((thrown: unknown) => events.emit('brokeOff', thrown))
  }

  #sendReady(): void {
    while (this.#sent.size < MOST_WRITES && !this.#isClosed) {
      const next = this.#ready.shift()
      if (!next) return
      this.#sent.add(next)
      next.send()
    }
  }

  #ended(write: Write, done: TransferDone): void {
    const { block } = write
    if (!this.#isCopy(write, 'filling')) return
    const { directory, counters, journal } = this.#core
    if (done.error !== undefined) return this.#failed(write, done.error, done.detail)
    journal.left('write', block, done.ms, true)
    directory.complete(block, 'ssd')
    counters.writtenBlocks++
    this.#written.push(write)
  }

  /** There was nothing sound to write: from hbm, if it is there, the block is saved anew. */
  #hasNothing(write: Write, dramSlot: number): void {
    const { directory, counters } = this.#core
    const { block } = write
    if (this.#isCopy(write, 'filling')) directory.removeCopy(block, 'ssd', 'damaged')
    if (block.gone) counters.dropped.damaged++
    quarantine(this.#core, block, dramSlot)
  }

  /** It was not written, or not flushed: what a failed flush has lost is on the disk only if it is written again. */
  #failed({ block, slot }: Write, code: string, detail?: string): void {
    const { directory, counters } = this.#core
    this.#retries.failed(block, code, detail, { ssd_slot: slot })
    directory.removeCopy(block, 'ssd', 'damaged')
    if (block.gone) counters.dropped.damaged++
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
    this.#core.flushes.send(errorSince => {
      this.#isFlushing = false
      for (const write of batch) {
        if (!this.#isCopy(write, 'present')) continue
        const error = errorSince(write.failures)
        if (error === undefined) this.#becameDurable(write.block)
        else this.#failed(write, error)
      }
    })
  }

  /** The block's copy on ssd is the one that this write made, and in this state. */
  #isCopy(write: Write, state: CopyState): boolean {
    const { block, slot } = write
    const { ssd } = block.copies
    return !block.gone && this.#latest.get(block) === write && ssd.state === state && ssd.slot === slot
  }

  #becameDurable(block: Block): void {
    const { directory } = this.#core
    block.durable = true
    directory.pools.dram.version++
    this.#store?.put(block)
    directory.remains.overwritten(block.copies.ssd.slot)
    for (const old of directory.superseded(block)) {
      if (SLOT_TIERS.some(tier => old.copies[tier].state === 'filling')) continue
      for (const tier of SLOT_TIERS) directory.removeCopy(old, tier)
    }
    this.releaseStaging(block)
  }
}
