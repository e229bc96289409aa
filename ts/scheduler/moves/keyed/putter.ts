// Full blocks that were saved to dram are copied to the key-addressed tier in the background, once each. A request never waits
// for it: a block that leaves dram before its turn is not copied.

import type { Block } from '../../../directory/block.js'
import { BLOCK_TOKENS } from '../../../engine/types.js'
import type { Core } from '../../core/core.js'
import type { KeyedDesk } from '../../core/keyed-desk.js'

/** Puts under way at once. */
const MOST_PUTS = 8
/** Blocks that wait for their put. */
const MOST_WAITING = 4096

export class Putter {
  readonly #core: Core
  readonly #desk: KeyedDesk
  readonly #waiting = new Set<Block>()
  #inFlight = 0

  constructor(core: Core, desk: KeyedDesk) {
    this.#core = core
    this.#desk = desk
    core.events.on('saved', block => this.#want(block))
  }

  get isIdle(): boolean {
    return this.#inFlight === 0 && this.#waiting.size === 0
  }

  /** Starts what may start. */
  pump(): void {
    for (const block of this.#waiting) {
      if (this.#inFlight >= MOST_PUTS) return
      this.#waiting.delete(block)
      if (!block.gone && block.has('dram')) this.#put(block)
      else this.#core.counters.keyed.skipped++
    }
  }

  #want(block: Block): void {
    if (block.valid < BLOCK_TOKENS) return
    if (this.#waiting.size < MOST_WAITING) this.#waiting.add(block)
    else this.#core.counters.keyed.skipped++
  }

  #put(block: Block): void {
    this.#inFlight++
    this.#desk.put(block.key, block.copies.dram.slot, error => {
      this.#inFlight--
      if (error === undefined) this.#core.counters.keyed.put++
    })
  }
}
