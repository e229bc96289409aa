// The scrub: what lies in dram is compared with its checksum, a block after another at a bounded rate, so that a flipped
// bit is found before its block is asked for.

import type { Block } from '../../directory/block.js'
import type { Core } from '../core/core.js'
import { isDramDamage, quarantine } from './dram-damage.js'

/** Milliseconds between two rounds. */
const ROUND_MS = 500
/** Most blocks of a round: a fast rate with small blocks must not fill the queue of checks. */
const MOST_AT_ONCE = 64

export class Scrubber {
  readonly #core: Core
  #blocks: Iterator<Block> | null = null
  /** Bytes that may be compared now. */
  #allowance = 0
  #cancel: (() => void) | null = null
  #isClosed = false

  constructor(core: Core) {
    this.#core = core
    if (core.tiers.dram && core.options.scrubRate > 0) this.#wait()
  }

  close(): void {
    this.#isClosed = true
    this.#cancel?.()
  }

  #wait(): void {
    this.#cancel = this.#core.clock.after(ROUND_MS, () => this.#round(), { background: true })
  }

  #round(): void {
    const { options, engine, desk } = this.#core
    const { blockBytes } = engine.info
    this.#allowance = Math.min(this.#allowance + (options.scrubRate * ROUND_MS) / 1000, MOST_AT_ONCE * blockBytes)
    for (; this.#allowance >= blockBytes; this.#allowance -= blockBytes) {
      const block = this.#next()
      if (!block) break
      this.#check(block)
    }
    desk.flush()
    if (!this.#isClosed) this.#wait()
  }

  /** The next block that has its bytes in dram, from the oldest on and round again; null: there is none. */
  #next(): Block | null {
    const inDram = this.#core.directory.inTier.dram
    for (let left = inDram.size + 1; left > 0; left--) {
      this.#blocks ??= inDram.values()
      const { value, done } = this.#blocks.next()
      if (done) this.#blocks = null
      else if (value.has('dram')) return value
    }
    return null
  }

  #check(block: Block): void {
    const { directory, desk } = this.#core
    const { slot } = block.copies.dram
    directory.pools.dram.pin(slot)
    desk.send({ kind: 'check', dramSlot: slot }, done => {
      directory.pools.dram.unpin(slot)
      if (isDramDamage(done)) quarantine(this.#core, block, slot)
    })
  }
}
