// Saves: hbm → dram. Filled blocks ride in the plan of the step that fills them; tails, and what found no room then,
// are saved in the background.

import type { Block } from '../../directory/block.js'
import type { Reservation } from '../../directory/reservation.js'
import { BLOCK_TOKENS, type PlanSave, type TransferDone } from '../../engine/types.js'
import { isSaved, type Core } from '../core/core.js'
import { Retries } from './retries.js'
import type { Room } from './room.js'
import type { Writer } from './writer.js'

/** Background saves under way at once. Compute shares the device with them. */
const MOST_SAVES = 16

/** A save inside a plan. It counts when both the step's reply (whose key it is) and the transfer's end are there. */
export interface PlannedSave {
  readonly sequence: number
  readonly index: number
  readonly dram: Reservation
  block: Block | null
  isAnswered: boolean
  done: TransferDone | null
}

export class Saver {
  readonly #core: Core
  readonly #room: Room
  readonly #writer: Writer
  readonly #unsaved = new Set<Block>()
  readonly #saving = new Set<Block>()
  readonly #retries: Retries
  #inFlight = 0

  constructor(core: Core, room: Room, writer: Writer) {
    this.#core = core
    this.#room = room
    this.#writer = writer
    this.#retries = new Retries(core, 'save', 'a block is no longer saved to dram')
    core.events.on('dramLost', block => this.want(block))
  }

  /** Saves under way, in plans and beside them. */
  get inFlight(): number {
    return this.#inFlight
  }

  get isIdle(): boolean {
    return this.#inFlight === 0 && this.#unsaved.size === 0
  }

  /** A save of view block `index`, which this plan fills; null: dram has no room now, the block is saved later. */
  plan(sequence: number, index: number, hbmSlot: number): { save: PlanSave; record: PlannedSave } | null {
    const dram = this.#takeDram()
    if (!dram) return null
    const dramSlot = dram.slot
    const record: PlannedSave = { sequence, index, dram, block: null, isAnswered: false, done: null }
    const id = this.#core.desk.expect(done => {
      this.#unpin(hbmSlot, dramSlot)
      record.done = done
      this.#settle(record)
    })
    this.#pin(hbmSlot, dramSlot)
    return { save: { id, sequence, index, dramSlot, valid: BLOCK_TOKENS }, record }
  }

  /** The step of a planned save is answered; `block` is what it filled, null if it filled nothing. */
  answered(record: PlannedSave, block: Block | null): void {
    record.block = block
    record.isAnswered = true
    if (block) this.#saving.add(block)
    this.#settle(record)
  }

  /** Sees to it that a block in hbm is saved, unless it is or cannot be. */
  want(block: Block): void {
    if (!this.#core.tiers.saves || block.gone || block.releasable || this.#saving.has(block)) return
    if (block.has('hbm') && !isSaved(block)) this.#unsaved.add(block)
  }

  pump(): void {
    for (const block of this.#unsaved) {
      if (this.#inFlight >= MOST_SAVES) return
      const isPending = !block.gone && block.has('hbm') && block.copies.dram.state === 'absent' && !block.has('ssd')
      const dram = isPending ? this.#takeDram() : null
      if (isPending && !dram) return
      this.#unsaved.delete(block)
      if (dram) this.#save(block, dram)
    }
  }

  #save(block: Block, dram: Reservation): void {
    const hbmSlot = block.copies.hbm.slot
    const dramSlot = dram.slot
    this.#pin(hbmSlot, dramSlot)
    this.#saving.add(block)
    this.#core.desk.send({ kind: 'save', hbmSlot, dramSlot, valid: block.valid }, done => {
      this.#unpin(hbmSlot, dramSlot)
      this.#arrived(block, dram, done)
    })
  }

  #settle(record: PlannedSave): void {
    if (record.isAnswered && record.done) this.#arrived(record.block, record.dram, record.done)
  }

  #arrived(block: Block | null, dram: Reservation, done: TransferDone): void {
    const { counters, journal, tiers } = this.#core
    if (block) this.#saving.delete(block)
    if (done.error !== undefined || block === null || block.gone || block.copies.dram.state !== 'absent') {
      dram.dispose()
      if (block && done.error !== undefined && this.#retries.failed(block, done.error, done.detail)) this.want(block)
      return
    }
    dram.become(block, 'present')
    journal.left('save', block, done.ms, !tiers.ssd)
    counters.savedBlocks++
    this.#writer.want(block)
    this.#core.events.emit('saved', block)
    this.#dropSuperseded(block)
  }

  /** The shorter blocks that this one continues are no longer needed in memory; on ssd it stays until the block is durable there. */
  #dropSuperseded(block: Block): void {
    const { directory } = this.#core
    for (const old of directory.superseded(block)) {
      if (old.copies.hbm.state !== 'filling') directory.removeCopy(old, 'hbm')
      if (old.copies.dram.state !== 'filling' && old.copies.ssd.state !== 'filling') directory.removeCopy(old, 'dram')
    }
  }

  /** Staging slots are shared with promotion: saves and writes take at most half of them. */
  #takeDram(): Reservation | null {
    const { directory, tiers } = this.#core
    const held = this.#inFlight + this.#writer.backlog
    if (!tiers.dram && held >= Math.max(1, directory.pools.dram.total >> 1)) {
      this.#core.events.emit('dramRefused')
      return null
    }
    return this.#room.take('dram')
  }

  #pin(hbmSlot: number, dramSlot: number): void {
    this.#inFlight++
    this.#core.directory.pools.hbm.pin(hbmSlot)
    this.#core.directory.pools.dram.pin(dramSlot)
  }

  #unpin(hbmSlot: number, dramSlot: number): void {
    this.#inFlight--
    this.#core.directory.pools.hbm.unpin(hbmSlot)
    this.#core.directory.pools.dram.unpin(dramSlot)
  }
}
