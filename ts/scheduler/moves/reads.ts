// Promotion: ssd → dram, a bounded number at a time. Blocks that an admitted request needs go first, in the order
// asked for; those that the queue will need take the rest of the disk.

import type { Block } from '../../directory/block.js'
import type { Reservation } from '../../directory/reservation.js'
import type { TransferDone } from '../../engine/types.js'
import type { Core } from '../core/core.js'
import type { HeldTransfer } from '../core/transfer-desk.js'
import type { Room } from './room.js'

/**
 * Reads under way at once: enough to keep a disk busy for `BUSY_MS` milliseconds, whatever the event loop does meanwhile, and
 * no more than keep an SSD busy: the next request waits for them, and they hold dram slots.
 */
const BUSY_MS = 40
const LEAST_READS = 4
const MOST_READS = 16
/** Of these, ahead of need: a request that needs a block now waits for no more than these. */
const MOST_READS_AHEAD = 8
/** Errors that say what lies in the slot; asking again would bring the same. */
const OF_THE_BYTES = new Set(['kv_damaged', 'kv_foreign'])
/** Of a read that found no place in the queue of the disk: nothing was begun. */
const REFUSED = 'kv_queue_full'
/** Milliseconds before a refused read is asked for again, and how often. */
const REFUSED_MS = 10
const MOST_REFUSALS = 200
/** The same before each further try of a read that failed otherwise. */
const RETRY_MS = [50, 250]
/** Beside these, for waiting requests that lack only few blocks: they do not wait until a long history is read. */
const MOST_FEW_READS = 2

export interface ReadWaiter {
  /** Asked before the read starts; it does not if no waiter wants it any more. @default true */
  readonly isWanted?: () => boolean
  /** The block's bytes are in dram. */
  promoted(): void
  /** They cannot be had; the block is gone. */
  lost(): void
}

interface Read {
  readonly block: Block
  readonly ssdSlot: number
  readonly waiters: ReadWaiter[]
  /** For a request that lacks only few. */
  readonly isFew: boolean
  refusals: number
  failures: number
}

export class Reads {
  readonly #core: Core
  readonly #room: Room
  readonly #reads = new Map<Block, Read>()
  readonly #queue: Read[] = []
  #inFlight = 0
  #fewInFlight = 0

  constructor(core: Core, room: Room) {
    this.#core = core
    this.#room = room
  }

  get isIdle(): boolean {
    return this.#reads.size === 0
  }

  /** Reads that admitted requests wait for, under way or not yet. */
  get backlog(): number {
    return this.#queue.length + this.#inFlight
  }

  /** A read ahead of need may start; `isFew`: for a request that lacks only few blocks. */
  hasRoomAhead(isFew = false): boolean {
    if (isFew && this.#fewInFlight < MOST_FEW_READS) return true
    return this.#queue.length === 0 && this.#inFlight < Math.min(MOST_READS_AHEAD, this.#mostReads)
  }

  /** A disk of unknown speed gets few. */
  get #mostReads(): number {
    const ms = this.#core.costs.readMs
    return ms === 0 ? LEAST_READS : Math.min(MOST_READS, Math.max(LEAST_READS, Math.ceil(BUSY_MS / ms)))
  }

  /** Brings a block that lies on ssd only into dram. The ssd slot cannot be rewritten from now on. */
  want(block: Block, waiter: ReadWaiter): void {
    if (this.join(block, waiter)) return
    this.#queue.push(this.#open(block, waiter, false))
  }

  /** Waits for a read that was asked for already; false: there is none. */
  join(block: Block, waiter: ReadWaiter): boolean {
    const known = this.#reads.get(block)
    known?.waiters.push(waiter)
    return known !== undefined
  }

  /** Reads a block that lies on ssd only into the reserved dram slot, ahead of need. */
  startAhead(block: Block, dram: Reservation, waiter: ReadWaiter, isFew = false): void {
    this.#start(this.#open(block, waiter, isFew), dram)
  }

  /** Starts what may start. */
  pump(): void {
    const most = this.#mostReads
    while (this.#inFlight < most && this.#queue.length > 0) {
      if (this.#dropUnwanted()) continue
      const dram = this.#room.take('dram')
      if (!dram) return
      this.#start(this.#queue.shift() as Read, dram)
    }
  }

  /** The first in the queue is dropped if no waiter wants it any more. */
  #dropUnwanted(): boolean {
    const read = this.#queue[0] as Read
    if (read.waiters.some(waiter => waiter.isWanted?.() ?? true)) return false
    this.#queue.shift()
    this.#settle(read, false)
    return true
  }

  #open(block: Block, waiter: ReadWaiter, isFew: boolean): Read {
    const read: Read = { block, ssdSlot: block.copies.ssd.slot, waiters: [waiter], isFew, refusals: 0, failures: 0 }
    this.#core.directory.pools.ssd.pin(read.ssdSlot)
    this.#reads.set(block, read)
    return read
  }

  #start(read: Read, dram: Reservation): void {
    const { directory, costs } = this.#core
    const { block } = read
    if (block.gone || block.copies.dram.state !== 'absent') {
      dram.dispose()
      this.#settle(read, !block.gone && block.has('dram'))
      return
    }
    const { slot } = dram
    dram.become(block, 'filling')
    directory.pools.dram.pin(slot)
    this.#inFlight++
    if (read.isFew) this.#fewInFlight++
    costs.readBegan()
    this.#hold(read, slot).send()
  }

  #hold(read: Read, slot: number): HeldTransfer {
    const { block: { key, valid }, ssdSlot } = read
    return this.#core.desk.hold({ kind: 'read', ssdSlot, dramSlot: slot, key, valid }, done => this.#ended(read, slot, done))
  }

  /** A read that may work next time is asked for again. It counts as in flight meanwhile, and its slots stay its own. */
  #asksAgain(read: Read, slot: number, error: string): boolean {
    const { desk, clock } = this.#core
    const ms = error === REFUSED ? (read.refusals++ < MOST_REFUSALS ? REFUSED_MS : undefined) : RETRY_MS[read.failures++]
    if (ms === undefined || OF_THE_BYTES.has(error) || read.block.gone) return false
    const held = this.#hold(read, slot)
    clock.after(ms, () => {
      held.send()
      desk.flush()
    })
    return true
  }

  #ended(read: Read, slot: number, done: TransferDone): void {
    if (done.error !== undefined && this.#asksAgain(read, slot, done.error)) return
    const { directory, counters, journal, costs } = this.#core
    this.#inFlight--
    if (read.isFew) this.#fewInFlight--
    costs.readEnded()
    directory.pools.dram.unpin(slot)
    const { block } = read
    if (block.gone) return this.#settle(read, false)
    if (done.error === undefined) {
      directory.complete(block, 'dram')
      journal.arrived('read', block, done.ms)
      counters.promotedBlocks++
    } else {
      directory.orphan(block)
      counters.dropped.damaged++
    }
    this.#settle(read, done.error === undefined)
  }

  #settle(read: Read, isPromoted: boolean): void {
    const { block, ssdSlot, waiters } = read
    this.#reads.delete(block)
    if (isPromoted) this.#tell(block, waiters)
    else for (const waiter of waiters) waiter.lost()
    this.#core.directory.pools.ssd.unpin(ssdSlot)
  }

  /** The bytes stay in dram until the last waiter was told: the first may have no use for them, and the next one may. */
  #tell(block: Block, waiters: readonly ReadWaiter[]): void {
    const { dram } = this.#core.directory.pools
    const { slot } = block.copies.dram
    dram.pin(slot)
    for (const waiter of waiters) waiter.promoted()
    dram.unpin(slot)
    this.#core.events.emit('dramLetGo', block)
  }
}
