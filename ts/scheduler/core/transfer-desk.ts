// Transfers: ids, an outbox in order, and who waits for what.

import type { Engine, Transfer, TransferDone } from '../../engine/types.js'

export type TransferRequest = Transfer extends infer T ? (T extends Transfer ? Omit<T, 'id'> : never) : never

/** A transfer that has an id, and counts as in flight, before it is sent. */
export interface HeldTransfer {
  readonly id: number
  /** Enqueues it, as `TransferDesk.send` does. */
  send(): void
}

export class TransferDesk {
  readonly #waiting = new Map<number, (done: TransferDone) => void>()
  #outbox: Transfer[] = []
  #nextId = 0

  constructor(readonly engine: Pick<Engine, 'transfer'>) {}

  /** Transfers and saves that have not ended. */
  get inFlight(): number {
    return this.#waiting.size
  }

  /** Enqueues a transfer; it goes out with the next `flush`, in order. */
  send(request: TransferRequest, ended: (done: TransferDone) => void): void {
    this.hold(request, ended).send()
  }

  /** As `send`, but it is enqueued when the caller says so: something else has to end first. */
  hold(request: TransferRequest, ended: (done: TransferDone) => void): HeldTransfer {
    const transfer = { ...request, id: this.expect(ended) } as Transfer
    return { id: transfer.id, send: () => void this.#outbox.push(transfer) }
  }

  /** An id whose end will be reported, for what travels inside a plan. */
  expect(ended: (done: TransferDone) => void): number {
    const id = this.#nextId
    this.#nextId = (this.#nextId + 1) >>> 0
    this.#waiting.set(id, ended)
    return id
  }

  flush(): void {
    if (this.#outbox.length === 0) return
    const transfers = this.#outbox
    this.#outbox = []
    this.engine.transfer(transfers)
  }

  ended(done: TransferDone): void {
    const ended = this.#waiting.get(done.id)
    this.#waiting.delete(done.id)
    ended?.(done)
  }
}
