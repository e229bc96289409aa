// The answers that one request has got about full blocks that no slot holds and a key-addressed tier may have.

import type { BlockKey } from '../engine/types.js'

/** `unknown`: it was asked, or will be, and the answer is not there: neither present nor absent. */
export type Existence = 'present' | 'absent' | 'unknown'

export class Inquiry {
  readonly #answers = new Map<BlockKey, Existence>()

  constructor(keys: Iterable<BlockKey>) {
    for (const key of keys) this.#answers.set(key, 'unknown')
  }

  /** The keys that were asked about, each once. */
  get keys(): readonly BlockKey[] {
    return [...this.#answers.keys()]
  }

  /** Those without an answer. */
  get unanswered(): readonly BlockKey[] {
    return this.keys.filter(key => this.of(key) === 'unknown')
  }

  /** A key that was not asked about counts as absent. */
  of(key: BlockKey): Existence {
    return this.#answers.get(key) ?? 'absent'
  }

  /** The answers, in the order of `keys`; a key without one counts as absent. */
  answered(answers: readonly boolean[]): void {
    for (const [i, key] of this.keys.entries()) this.#answers.set(key, answers[i] === true ? 'present' : 'absent')
  }
}
