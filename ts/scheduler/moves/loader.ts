// Loads: dram → hbm, after a promotion where the bytes are on ssd only.

import type { Block } from '../../directory/block.js'
import type { Reservation } from '../../directory/reservation.js'
import type { TransferDone } from '../../engine/types.js'
import type { Core } from '../core/core.js'
import { isBesideDamage, isDramDamage, quarantine } from './dram-damage.js'
import type { Reads } from './reads.js'
import type { Load, LoadWait } from '../sequence/load-wait.js'

export class Loader {
  readonly #core: Core
  readonly #reads: Reads
  /** Sees to it that a block reaches the tiers below. */
  readonly #lower: (block: Block) => void
  /** Loads that fill a block's own hbm copy, so that a second sequence waits for the same one. */
  readonly #shared = new Map<Block, Load>()
  #inFlight = 0

  constructor(core: Core, reads: Reads, lower: (block: Block) => void) {
    this.#core = core
    this.#reads = reads
    this.#lower = lower
  }

  get isIdle(): boolean {
    return this.#inFlight === 0 && this.#shared.size === 0
  }

  /** Fills the hbm copy of a block, which the caller has just given a slot (`filling`), for a sequence. */
  loadShared(waiting: LoadWait, block: Block): void {
    const load = this.#begin(waiting, block, block.copies.hbm.slot, true)
    this.#shared.set(block, load)
    this.#advance(load)
  }

  /** Fills the hbm copy of a block that lies in dram, in a reserved slot, before anybody's turn. */
  loadAhead(block: Block, hbm: Reservation): void {
    hbm.become(block, 'filling')
    const load: Load = { source: block, slot: hbm.slot, isShared: true, users: new Set(), stage: 'loading' }
    this.#shared.set(block, load)
    this.#send(load)
  }

  /** The sequence needs a block that is being loaded for another one. */
  joinShared(waiting: LoadWait, block: Block): void {
    const load = this.#shared.get(block)
    if (!load) throw new Error('a filling hbm copy without a load')
    this.#join(waiting, load)
  }

  /** Fills a slot of the sequence's own with the rows of `source`. */
  loadOwn(waiting: LoadWait, source: Block, slot: number): void {
    this.#advance(this.#begin(waiting, source, slot, false))
  }

  #begin(waiting: LoadWait, source: Block, slot: number, isShared: boolean): Load {
    const stage = source.has('dram') ? 'loading' : 'reading'
    const load: Load = { source, slot, isShared, users: new Set(), stage }
    this.#join(waiting, load)
    return load
  }

  #join(waiting: LoadWait, load: Load): void {
    waiting.join(load, this.#core.engine.info.blockBytes)
  }

  #advance(load: Load): void {
    if (load.stage === 'loading') return this.#send(load)
    this.#reads.want(load.source, { promoted: () => this.#promoted(load), lost: () => this.#failed(load) })
  }

  #promoted(load: Load): void {
    // A sequence's own slot was given back if the sequence went away before the load began.
    if (!load.isShared && load.users.size === 0) return
    load.stage = 'loading'
    for (const user of load.users) user.promoted()
    this.#send(load)
  }

  #send(load: Load): void {
    const { directory, desk } = this.#core
    const dramSlot = load.source.copies.dram.slot
    directory.pools.dram.pin(dramSlot)
    directory.pools.hbm.pin(load.slot)
    this.#inFlight++
    desk.send({ kind: 'load', dramSlot, hbmSlot: load.slot }, done => {
      this.#inFlight--
      directory.pools.dram.unpin(dramSlot)
      directory.pools.hbm.unpin(load.slot)
      if (isDramDamage(done)) quarantine(this.#core, load.source, dramSlot)
      this.#ended(load, done)
    })
  }

  #ended(load: Load, done: TransferDone): void {
    const { directory, counters, journal, costs } = this.#core
    if (isDramDamage(done) || isBesideDamage(done)) return this.#comesAgain(load)
    if (done.error !== undefined || (load.isShared && load.source.gone)) {
      if (!load.source.gone) counters.dropped.damaged++
      return this.#failed(load)
    }
    costs.loadTook(done.bytes, done.ms)
    journal.arrived('load', load.source, done.ms)
    counters.loadedBlocks++
    if (load.isShared) {
      directory.complete(load.source, 'hbm')
      this.#shared.delete(load.source)
    }
    this.#release(load)
    this.#core.events.emit('dramLetGo', load.source)
  }

  /** Its users leave hbm and come again; what is sound below is found then. */
  #comesAgain(load: Load): void {
    const { directory, counters } = this.#core
    if (load.isShared && !load.source.gone) {
      const renewed = directory.renew(load.source)
      if (renewed) this.#lower(renewed)
      else counters.dropped.damaged++
    }
    this.#giveUp(load)
  }

  #failed(load: Load): void {
    this.#core.directory.orphan(load.source)
    this.#giveUp(load)
  }

  #giveUp(load: Load): void {
    if (load.isShared) this.#shared.delete(load.source)
    for (const user of load.users) user.failed()
    this.#release(load)
  }

  #release(load: Load): void {
    for (const user of load.users) user.ended(load)
    load.users.clear()
  }
}
