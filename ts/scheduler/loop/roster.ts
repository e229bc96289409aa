// The sequences that the engine may still report about: which of them prepare or run, and which have ended while a step
// that names them is unanswered.

import type { Engine } from '../../engine/types.js'
import type { Sequence } from '../sequence/sequence.js'

export class Roster {
  readonly #engine: Engine
  /** By id: everything the engine may still report about. */
  readonly #living = new Map<number, Sequence>()
  /** Preparing and running, oldest first. */
  readonly #active: Sequence[] = []
  /** Ended, but a step that names them is unanswered. */
  #leftovers: Sequence[] = []
  #answered = -1

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** Preparing and running, oldest first. */
  get active(): readonly Sequence[] {
    return this.#active
  }

  /** Added to the engine and not ended, by id. */
  get living(): ReadonlyMap<number, Sequence> {
    return this.#living
  }

  /** A step that is unanswered names the sequence. */
  isNamed(sequence: Sequence): boolean {
    return sequence.progress.lastStep > this.#answered
  }

  activate(sequence: Sequence): void {
    const younger = this.#active.findIndex(other => other.ticket > sequence.ticket)
    this.#active.splice(younger < 0 ? this.#active.length : younger, 0, sequence)
  }

  deactivate(sequence: Sequence): void {
    const at = this.#active.indexOf(sequence)
    if (at >= 0) this.#active.splice(at, 1)
  }

  /** The engine gets to know the sequence, once. */
  add(sequence: Sequence): void {
    if (sequence.isAdded) return
    sequence.added()
    this.#living.set(sequence.id, sequence)
    this.#engine.addSequence(sequence.spec)
  }

  /** The sequence has ended; the engine forgets it when no step names it. */
  end(sequence: Sequence): void {
    sequence.end()
    this.#living.delete(sequence.id)
    if (!sequence.isAdded) return
    if (this.isNamed(sequence)) this.#leftovers.push(sequence)
    else this.#engine.dropSequence(sequence.id)
  }

  /** The reply of `step` is read. */
  answered(step: number): void {
    this.#answered = step
    for (const sequence of this.#leftovers) if (!this.isNamed(sequence)) this.#engine.dropSequence(sequence.id)
    this.#leftovers = this.#leftovers.filter(sequence => this.isNamed(sequence))
  }
}
