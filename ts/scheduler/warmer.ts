// Brings the blocks of a conversation up before it is asked for: ssd → dram, and into hbm slots that are free.

import type { Block } from '../directory/block.js'
import { BLOCK_TOKENS } from '../engine/types.js'
import type { Core } from './core.js'
import type { Loader } from './loader.js'
import type { ReadWaiter, Reads } from './reads.js'
import type { Room } from './room.js'
import type { Warmed } from './types.js'

/** Room is made from what nobody waits for: later than any ticket. */
const AFTER_EVERYONE = Number.MAX_VALUE

export class Warmer {
  readonly #core: Core
  readonly #room: Room
  readonly #reads: Reads
  readonly #loader: Loader

  constructor(core: Core, room: Room, reads: Reads, loader: Loader) {
    this.#core = core
    this.#room = room
    this.#reads = reads
    this.#loader = loader
  }

  /** @param next Lets what was started go on, and resolves at its next end; false: nothing is under way. */
  async warm(blocks: readonly Block[], next: () => Promise<boolean>): Promise<Warmed> {
    const now = this.#core.clock.now()
    // Used now: what is brought up makes room from older blocks, not from its own.
    for (const block of blocks) block.lastUse = now
    const promotedBlocks = await this.#promote(blocks, next)
    const loading = blocks.filter(block => this.#load(block))
    while (loading.some(block => !block.gone && block.copies.hbm.state === 'filling') && (await next()));
    return { promotedBlocks, loadedBlocks: loading.filter(block => block.has('hbm')).length }
  }

  /** In the order of the tokens, as many as dram can take. */
  async #promote(blocks: readonly Block[], next: () => Promise<boolean>): Promise<number> {
    const missing = blocks.filter(isOnDiskOnly)
    let promoted = 0
    let pending = 0
    const waiter: ReadWaiter = {
      promoted: () => {
        promoted++
        pending--
      },
      lost: () => pending--,
    }
    for (;;) {
      while (missing.length > 0 && this.#read(missing[0] as Block, waiter, () => pending++)) missing.shift()
      if ((pending === 0 && missing.length === 0) || !(await next())) return promoted
    }
  }

  /** False: it cannot be started now. */
  #read(block: Block, waiter: ReadWaiter, started: () => void): boolean {
    if (!isOnDiskOnly(block)) return true
    if (!this.#reads.join(block, waiter)) {
      const slot = this.#reads.hasRoomAhead() ? this.#room.takeAhead(AFTER_EVERYONE) : -1
      if (slot < 0) return false
      this.#reads.startAhead(block, slot, waiter)
    }
    started()
    return true
  }

  #load(block: Block): boolean {
    if (block.valid < BLOCK_TOKENS || !block.has('dram') || block.copies.hbm.state !== 'absent') return false
    const slot = this.#core.directory.reserve('hbm')
    if (slot < 0) return false
    this.#loader.loadAhead(block, slot)
    return true
  }
}

function isOnDiskOnly(block: Block): boolean {
  return !block.gone && block.has('ssd') && block.copies.dram.state === 'absent' && block.copies.hbm.state === 'absent'
}
