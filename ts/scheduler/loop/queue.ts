// Requests that wait, oldest first.

import type { Sequence } from '../sequence/sequence.js'

export class WaitingQueue {
  readonly #sequences: Sequence[] = []

  get length(): number {
    return this.#sequences.length
  }

  /** Inserts by age: what comes back after preemption stands before everything younger. */
  add(sequence: Sequence): void {
    let at = this.#sequences.length
    while (at > 0 && (this.#sequences[at - 1] as Sequence).ticket > sequence.ticket) at--
    this.#sequences.splice(at, 0, sequence)
  }

  /** The request at `place`, counted from 0. */
  at(place: number): Sequence | undefined {
    return this.#sequences[place]
  }

  first(): Sequence | undefined {
    return this.#sequences[0]
  }

  remove(sequence: Sequence): void {
    const at = this.#sequences.indexOf(sequence)
    if (at >= 0) this.#sequences.splice(at, 1)
  }

  [Symbol.iterator](): IterableIterator<Sequence> {
    return this.#sequences.values()
  }
}
