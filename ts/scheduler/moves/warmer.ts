// Brings the blocks of a conversation up before it is asked for: ssd → dram, and into hbm slots that are free.

import type { Block } from '../../directory/block.js'
import { BLOCK_TOKENS } from '../../engine/types.js'
import type { Core } from '../core/core.js'
import type { Loader } from './loader.js'
import type { ReadWaiter, Reads } from './reads.js'
import type { Room } from './room.js'

/** Ends of steps and transfers after which, if none of them made room, there will be none: a busy server never stands still. */
const MOST_CHANGES_IN_VAIN = 256

/** Blocks that came up. */
export interface Warmed {
  /** ssd → dram. */
  readonly promotedBlocks: number
  /** Into hbm. */
  readonly loadedBlocks: number
}

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
    for (const block of blocks) block.lastUse = now
    const promotedBlocks = await this.#promote(blocks, next)
    const loading = blocks.filter(block => this.#load(block))
    while (loading.some(block => !block.gone && block.copies.hbm.state === 'filling') && (await next()));
    return { promotedBlocks, loadedBlocks: loading.filter(block => block.has('hbm')).length }
  }

  /** In the order of the tokens, as many as dram can take without losing others of them. */
  async #promote(blocks: readonly Block[], next: () => Promise<boolean>): Promise<number> {
    const own = new Set(blocks)
    const missing = blocks.filter(isOnDiskOnly)
    let promoted = 0
    let pending = 0
    let inVain = 0
    const waiter: ReadWaiter = {
      promoted: () => {
        promoted++
        pending--
      },
      lost: () => pending--,
    }
    for (;;) {
      inVain = pending > 0 ? 0 : inVain + 1
      while (missing.length > 0 && this.#read(missing[0] as Block, own, waiter, () => pending++)) missing.shift()
      const isOver = pending === 0 && (missing.length === 0 || inVain > MOST_CHANGES_IN_VAIN)
      if (isOver || !(await next())) return promoted
    }
  }

  /** False: it cannot be started now. */
  #read(block: Block, own: ReadonlySet<Block>, waiter: ReadWaiter, started: () => void): boolean {
    if (!isOnDiskOnly(block)) return true
    if (!this.#reads.join(block, waiter)) {
      // Nothing that a request wants is given up for it, nor any of the blocks that are warmed.
      const mayTake = (other: Block): boolean => other.wants === 0 && !own.has(other)
      const dram = this.#reads.hasRoomAhead() ? this.#room.take('dram', { for: 'later', mayTake }) : null
      if (!dram) return false
      this.#reads.startAhead(block, dram, waiter)
    }
    started()
    return true
  }

  #load(block: Block): boolean {
    if (block.valid < BLOCK_TOKENS || !block.has('dram') || block.copies.hbm.state !== 'absent') return false
    const hbm = this.#core.directory.reserve('hbm')
    if (!hbm) return false
    this.#loader.loadAhead(block, hbm)
    return true
  }
}

function isOnDiskOnly(block: Block): boolean {
  return !block.gone && block.has('ssd') && block.copies.dram.state === 'absent' && block.copies.hbm.state === 'absent'
}
