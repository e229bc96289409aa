// Transfers: ids, an outbox in order, and who waits for what.

import type { Engine, Transfer, TransferDone } from '../../engine/types.js'

export type TransferRequest = Transfer extends infer T ? (T extends Transfer ? Omit<T, 'id'> : never) : never

export class TransferDesk {
  readonly #waiting = new Map<number, (done: TransferDone) => void>()
  #outbox: Transfer[] = []
  #nextId = 0
  /** Told of what the engine throws when it is handed transfers, whoever flushed. */
  onRefused: (thrown: unknown) => void = () => {}

  constructor(readonly engine: Pick<Engine, 'transfer'>) {}

  /** Transfers and saves that have not ended. */
  get inFlight(): number {
    return this.#waiting.size
  }

  /** Enqueues a transfer; it goes out with the next `flush`, in order. */
  send(request: TransferRequest, ended: (done: TransferDone) => void): void {
    this.#outbox.push({ ...request, id: this.expect(ended) } as Transfer)
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
    try {
      this.engine.transfer(transfers)
    } catch (thrown) {
      this.onRefused(thrown)
    }
  }

  ended(done: TransferDone): void {
    const ended = this.#waiting.get(done.id)
    this.#waiting.delete(done.id)
    ended?.(done)
  }
}
