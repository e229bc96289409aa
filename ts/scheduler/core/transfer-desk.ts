// Transfers: ids, an outbox in order, and who waits for what.

import type { DiskWatch } from './disk-watch.js'
import type { EventBus } from './events.js'
import type { Engine, Transfer, TransferDone } from '../../engine/types.js'

export type TransferRequest = Transfer extends infer T ? (T extends Transfer ? Omit<T, 'id'> : never) : never

interface Expected {
  readonly kind: Transfer['kind']
  readonly ended: (done: TransferDone) => void
  /** The engine has it. */
  isSent: boolean
}

/** Of a planned save whose rows were a no-op or void: there was nothing to save, so nothing failed. */
const NOT_COMPUTED = 'not_computed'

/** A transfer that has an id, and counts as in flight, before it is sent. */
export interface HeldTransfer {
  readonly id: number
  /** Enqueues it, as `TransferDesk.send` does. */
  send(): void
}

export class TransferDesk {
  readonly #engine: Pick<Engine, 'transfer'>
  readonly #events: EventBus
  readonly #disk: DiskWatch
  readonly #waiting = new Map<number, Expected>()
  #outbox: Transfer[] = []
  #nextId = 0

  constructor(engine: Pick<Engine, 'transfer'>, events: EventBus, disk: DiskWatch) {
    this.#engine = engine
    this.#events = events
    this.#disk = disk
  }

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
    const transfer = { ...request, id: this.expect(ended, request.kind) } as Transfer
    return { id: transfer.id, send: () => void this.#outbox.push(transfer) }
  }

  /** An id whose end will be reported; by default of a save, which travels inside a plan. */
  expect(ended: (done: TransferDone) => void, kind: Transfer['kind'] = 'save'): number {
    const id = this.#nextId
    this.#nextId = (this.#nextId + 1) >>> 0
    this.#waiting.set(id, { kind, ended, isSent: false })
    return id
  }

  flush(): void {
    if (this.#outbox.length === 0) return
    const transfers = this.#outbox
    this.#outbox = []
    for (const { id, kind } of transfers) this.#sent(id, kind)
    try {
      this.#engine.transfer(transfers)
    } catch (thrown) {
      this.#events.emit('engineRefused', thrown)
    }
  }

  ended(done: TransferDone): void {
    const expected = this.#waiting.get(done.id)
    if (!expected) return
    this.#waiting.delete(done.id)
    if (expected.isSent) this.#disk.ended(expected.kind, done)
    if (done.error !== undefined && done.error !== NOT_COMPUTED) this.#events.emit('transferFailed', expected.kind, done.error, done.detail)
    expected.ended(done)
  }

  #sent(id: number, kind: Transfer['kind']): void {
    const expected = this.#waiting.get(id)
    if (expected) expected.isSent = true
    this.#disk.sent(kind)
  }
}
