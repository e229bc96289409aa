// How often a transfer of a block is tried: the rule for saves and writes.

import type { Block } from '../../directory/block.js'
import type { DownLane } from '../../protocol/lanes.js'
import type { Core } from '../core/core.js'

/** The store did not take the note that a write waits for. */
export const STORE_REFUSED = 'store_failed'

/** A block whose transfer failed this often is not tried again, and may go without a copy below. */
const MOST_FAILURES = 3

/** The failures of one kind of transfer. Blocks that are given up are counted, and the log has a line. */
export class Retries {
  readonly #core: Core
  readonly #kind: DownLane
  readonly #message: string
  readonly #failures = new WeakMap<Block, number>()

  /** `message`: said of a block that is given up. */
  constructor(core: Core, kind: DownLane, message: string) {
    this.#core = core
    this.#kind = kind
    this.#message = message
  }

  /** A transfer of the block has failed. False: it is not tried again, and the block may go without a copy below. */
  failed(block: Block, code: string, detail: string | undefined, where: Readonly<Record<string, number>> = {}): boolean {
    const failures = (this.#failures.get(block) ?? 0) + 1
    this.#failures.set(block, failures)
    if (failures < MOST_FAILURES) return true
    block.releasable = true
    if (failures > MOST_FAILURES) return false
    this.#core.counters.abandoned[this.#kind]++
    // The condition of the store has said so, once for all blocks.
    if (code === STORE_REFUSED) return false
    const context = { failures, block: block.index, tokens: block.valid, ...where, ...(detail === undefined ? {} : { detail }) }
    this.#core.options.onFault({ message: this.#message, code, context })
    return false
  }
}
