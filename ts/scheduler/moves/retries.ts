// How often a transfer of a block is tried: the rule for saves and writes.

import type { Block } from '../../directory/block.js'

/** A block whose transfer failed this often is not tried again, and may go without a copy below. */
const MOST_FAILURES = 3

/** The failures of one kind of transfer. */
export class Retries {
  readonly #failures = new WeakMap<Block, number>()

  /** A transfer of the block has failed. False: it was the last one, and the block may go without a copy below. */
  failed(block: Block): boolean {
    const failures = (this.#failures.get(block) ?? 0) + 1
    this.#failures.set(block, failures)
    if (failures < MOST_FAILURES) return true
    block.releasable = true
    return false
  }
}
