// For what a request waited in the queue: the longest of the reasons.

import { QUEUED_FOR } from '../../protocol/schemas/requests.js'

/**
 * `turn`: a place in the batch, or the end of the step under way; `room`: blocks of hbm; `history`: its blocks, which are
 * being read or asked for; `another`: a request that computes the same beginning.
 */
export type WaitCause = (typeof QUEUED_FOR)[number]

export class WaitedFor {
  readonly #ms: Record<WaitCause, number> = { turn: 0, room: 0, history: 0, another: 0 }
  #cause: WaitCause = 'turn'
  #since: number

  /** It waits from `now` on, in milliseconds. */
  constructor(now: number) {
    this.#since = now
  }

  /** From now on it waits for this. */
  for(cause: WaitCause, now: number): void {
    this.#ms[this.#cause] += now - this.#since
    this.#cause = cause
    this.#since = now
  }

  /** It waits no longer. */
  end(now: number): void {
    this.for('turn', now)
  }

  /** It waits again. */
  again(now: number): void {
    this.#cause = 'turn'
    this.#since = now
  }

  /** The reason that took longest; null: it did not wait. */
  get longest(): WaitCause | null {
    let longest: WaitCause | null = null
    for (const cause of QUEUED_FOR) if (this.#ms[cause] > (longest === null ? 0 : this.#ms[longest])) longest = cause
    return longest
  }
}
