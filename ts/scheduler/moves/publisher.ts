// The last, partly filled block of a prompt, copied for others while the sequence that computed it goes on writing behind it.

import type { Block } from '../../directory/block.js'
import { BLOCK_TOKENS } from '../../engine/types.js'
import type { Core } from '../core/core.js'
import type { Sequence } from '../sequence/sequence.js'
import type { Room } from './room.js'

/** `there`: others find the rows. `coming`: a copy of them is under way. `refused`: hbm has no slot for a copy. */
export type Publication = 'there' | 'coming' | 'refused'

export class Publisher {
  readonly #core: Core
  readonly #room: Room

  constructor(core: Core, room: Room) {
    this.#core = core
    this.#room = room
  }

  /**
   * The prompt's rows behind its last full block, which are all computed, become a block of the directory. `published`
   * runs when others find it, if it was not there before.
   */
  publishTail(sequence: Sequence, published: () => void): Publication {
    const { promptLength, spec } = sequence
    const index = Math.floor(promptLength / BLOCK_TOKENS)
    const entry = sequence.table.at(index)
    // It is full by now, and has its place in the directory.
    if (!entry?.own) return 'there'
    const { directory, engine } = this.#core
    const tokens = sequence.tokens.copy(index * BLOCK_TOKENS, promptLength)
    const parent = sequence.parentKey(index)
    const key = engine.text.blockKey(parent, index, tokens, spec.view)
    const known = directory.blocks.get(key)
    if (known) return known.tier === null ? 'coming' : 'there'
    const slot = this.#room.take('hbm', { for: 'later' })
    if (!slot) return 'refused'
    const block = directory.obtain(key, parent, index, tokens, spec.view)
    slot.become(block, 'filling')
    // Nothing is lost with it: the sequence that computed it has the rows, and keeps them when it ends.
    block.releasable = true
    if (sequence.turnUse) directory.use(block, sequence.turnUse)
    this.#copy(sequence, entry.slot, block, published)
    return 'coming'
  }

  /** Runs before the next step on the engine's compute stream: no row that is written later is in it. */
  #copy(sequence: Sequence, fromHbmSlot: number, block: Block, published: () => void): void {
    const { directory, desk, journal } = this.#core
    const { hbm } = directory.pools
    const toHbmSlot = block.copies.hbm.slot
    hbm.pin(fromHbmSlot)
    hbm.pin(toHbmSlot)
    desk.send({ kind: 'copy', fromHbmSlot, toHbmSlot, valid: block.valid }, ({ error }) => {
      hbm.unpin(fromHbmSlot)
      hbm.unpin(toHbmSlot)
      if (block.gone) return
      if (error !== undefined) return directory.orphan(block)
      directory.complete(block, 'hbm')
      journal.filled(sequence.trail, block)
      published()
    })
  }
}
