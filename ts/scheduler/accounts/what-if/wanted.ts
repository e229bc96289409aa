// Which blocks queued requests want, by key: blocks that the server has given up are wanted too, where another capacity
// would have them still.

import type { BlockKey } from '../../../engine/types.js'

type Told = (key: BlockKey, firstWanted: number) => void

export class WantedKeys {
  readonly #tell: Told
  /** By key: arrival numbers of the requests that want it. */
  readonly #tickets = new Map<BlockKey, number[]>()
  readonly #keys = new Map<number, readonly BlockKey[]>()
  /** Requests that came and are not told yet: most are alone, and nothing has to be told of them. */
  readonly #untold = new Map<number, readonly BlockKey[]>()

  /** `tell` hears of every change of the first request that wants a block; Infinity: none does. */
  constructor(tell: Told) {
    this.#tell = tell
  }

  /** Requests that wait or run. */
  get size(): number {
    return this.#keys.size + this.#untold.size
  }

  /** Request number `ticket` waits. It is told with the next `settle`. */
  want(ticket: number, keys: readonly BlockKey[]): void {
    this.#untold.set(ticket, [...keys])
  }

  /** Blocks are about to be given up: from here on all that wait are told of. */
  settle(): void {
    for (const [ticket, keys] of this.#untold) this.#note(ticket, keys)
    this.#untold.clear()
  }

  /** The request has ended. */
  leave(ticket: number): void {
    if (this.#untold.delete(ticket)) return
    for (const key of this.#keys.get(ticket) ?? []) {
      const tickets = (this.#tickets.get(key) ?? []).filter(other => other !== ticket)
      if (tickets.length === 0) this.#tickets.delete(key)
      else this.#tickets.set(key, tickets)
      this.#tell(key, tickets[0] ?? Infinity)
    }
    this.#keys.delete(ticket)
  }

  firstOf(key: BlockKey): number {
    return this.#tickets.get(key)?.[0] ?? Infinity
  }

  #note(ticket: number, keys: readonly BlockKey[]): void {
    this.#keys.set(ticket, keys)
    for (const key of keys) {
      const tickets = this.#tickets.get(key) ?? []
      const before = tickets[0] ?? Infinity
      tickets.push(ticket)
      tickets.sort((a, b) => a - b)
      this.#tickets.set(key, tickets)
      if (ticket < before) this.#tell(key, ticket)
    }
  }
}
