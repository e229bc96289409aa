// The one door through which a sequence leaves hbm: finished, cancelled, preempted or with a failed load.

import type { Block } from '../../directory/block.js'
import type { Reservation } from '../../directory/reservation.js'
import { BLOCK_TOKENS, type BlockKey } from '../../engine/types.js'
import { hiddenBlocks } from '../../engine/view.js'
import type { Core } from '../core/core.js'
import type { Saver } from '../moves/saver.js'
import type { Sequence } from '../sequence/sequence.js'

export interface ReleaseListener {
  /** A sequence left hbm: the keys of the blocks that it used. */
  released(sequence: Sequence, keys: readonly BlockKey[]): void
}

export class Releaser {
  readonly #core: Core
  readonly #saver: Saver
  readonly #listener: ReleaseListener

  constructor(core: Core, saver: Saver, listener: ReleaseListener) {
    this.#core = core
    this.#saver = saver
    this.#listener = listener
  }

  /**
   * Empties the block table. Shared blocks stay as a cache; the last, partly filled block becomes one; the rest is
   * given back. A slot that an unanswered step or a transfer still names is not handed out before that has ended.
   */
  release(sequence: Sequence): void {
    const tail = this.#tailIndex(sequence)
    const now = this.#core.clock.now()
    const keys = [...sequence.keys]
    for (const [index, entry] of sequence.table) {
      if (entry.block) this.#leaveShared(sequence, entry.block, now)
      else if (index === tail) keys[index] = this.#keepTail(sequence, entry.own, index)
      else this.#giveBack(sequence, entry.own)
    }
    sequence.progress.endFront()
    for (const block of sequence.table.sources) this.#core.journal.used(sequence.trail, block)
    sequence.table.clear(sequence.isAdded)
    sequence.loading.leave()
    this.#listener.released(sequence, keys)
  }

  /** Gives up what no further row of a running sequence sees. A block whose rows are still being computed stays. */
  leaveView(sequence: Sequence): void {
    const { progress, table } = sequence
    const hidden = hiddenBlocks(sequence.spec.view, progress.planned)
    const end = Math.min(hidden.to, Math.floor(progress.computed / BLOCK_TOKENS))
    const now = this.#core.clock.now()
    for (let index = Math.max(hidden.from, table.leftUpTo); index < end; index++) {
      const entry = table.leave(index)
      if (entry?.block) this.#leaveBehind(sequence, entry.block, now)
      else if (entry) this.#giveBack(sequence, entry.own)
    }
  }

  #leaveBehind(sequence: Sequence, block: Block, now: number): void {
    this.#leaveShared(sequence, block, now)
    this.#core.directory.leaveBehind(block)
  }

  #leaveShared(sequence: Sequence, block: Block, now: number): void {
    block.lastUse = now
    const { gone } = block
    this.#core.directory.unref(block, sequence.progress.lastStep)
    if (gone) return
    block.releasable = block.releasable && !block.has('hbm')
    this.#saver.want(block)
  }

  /** Index of the partly filled block that can be kept; -1: none. */
  #tailIndex({ progress, loading, leaving }: Sequence): number {
    const isUsable = this.#core.tiers.keeps && progress.isTailSettled && !loading.hasFailed && leaving !== 'void'
    return isUsable && progress.computed % BLOCK_TOKENS > 0 ? Math.floor(progress.computed / BLOCK_TOKENS) : -1
  }

  #keepTail(sequence: Sequence, own: Reservation, index: number): BlockKey {
    const { directory, engine, journal } = this.#core
    const tokens = sequence.tokens.copy(index * BLOCK_TOKENS, sequence.progress.computed)
    const parent = sequence.parentKey(index)
    const key = sequence.progress.tailKey ?? engine.text.blockKey(parent, index, tokens, sequence.spec.view)
    const block = directory.obtain(key, parent, index, tokens, sequence.spec.view)
    if (sequence.turnUse) directory.use(block, sequence.turnUse)
    if (block.copies.hbm.state !== 'absent') {
      this.#giveBack(sequence, own)
      return key
    }
    directory.pools.hbm.nameInStep(own.slot, sequence.progress.lastStep)
    own.become(block, 'present')
    journal.filled(sequence.trail, block)
    this.#saver.want(block)
    return key
  }

  #giveBack(sequence: Sequence, own: Reservation): void {
    this.#core.directory.pools.hbm.nameInStep(own.slot, sequence.progress.lastStep)
    own.dispose()
  }
}
