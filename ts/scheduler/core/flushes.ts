// Flushes of the ssd tier, and what one that fails says of the others.

import type { TransferDone } from '../../engine/types.js'
import type { TransferDesk } from './transfer-desk.js'

/**
 * A flush that fails may have lost anything that was written before it ended, and the system says so once: the next flush
 * ends well all the same. So only a write that no failed flush has met is durable after one that succeeds.
 */
export class Flushes {
  readonly #desk: TransferDesk
  #failures = 0

  constructor(desk: TransferDesk) {
    this.#desk = desk
  }

  /** Flushes that have failed; a writer remembers the number before it writes. */
  get failures(): number {
    return this.#failures
  }

  /**
   * Asks for a flush of everything that was written so far. `ended` gets the error code, if this flush or, since there
   * were `failures` of them, another one failed.
   */
  send(ended: (error: (failures: number) => string | undefined) => void): void {
    this.#desk.send({ kind: 'flush' }, (done: TransferDone) => {
      if (done.error !== undefined) this.#failures++
      ended(failures => done.error ?? (failures === this.#failures ? undefined : 'flush_failed'))
    })
  }
}
