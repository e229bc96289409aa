// Our own policy: expected hits a block-second, from chances of the next use that are learnt online, a class of blocks.
// What the queue wants is the certain case and goes last. docs/design/placement.md says why.

import { usedBefore } from '../lru.js'
import { selectFirst } from '../select.js'
import type { PlacementPolicy, Resident } from '../types.js'
import { classOf } from './classes.js'
import { Cohort, CohortQueue } from './cohorts.js'
import { LifeTable } from './life-table.js'

/** A block with a history. It keeps it after it has left the tier, so that a return is learnt from. */
export interface Experienced extends Resident {
  /** Requests that used it. */
  uses: number
  /** null: never used. */
  cohort: Cohort | null
}

/** One request, as far as the policy wants to know. */
export interface Use {
  /** Milliseconds; never goes back. */
  readonly atMs: number
  /** Prompt tokens that it does not share with what came before. */
  readonly newTokens: number
}

/** Uses between two refreshes of the values: they change slowly. */
const REFRESH_EVERY = 4096

export class AdaptivePolicy implements PlacementPolicy<Experienced> {
  readonly name = 'adaptive'
  readonly #table = new LifeTable()
  readonly #queue = new CohortQueue(this.#table)
  #current: Use | null = null
  readonly #newCohorts = new Map<number, Cohort>()
  #usesSinceRefresh = 0

  /** A request begins; `used` is then told of its blocks. */
  begin(use: Use): void {
    this.#queue.advance(use.atMs)
    this.#newCohorts.clear()
    this.#current = use
    if (this.#usesSinceRefresh < REFRESH_EVERY) return
    this.#usesSinceRefresh = 0
    this.#table.refresh()
  }

  /** The request uses `block`, resident or not. */
  used(block: Experienced, isPartialTail: boolean): void {
    if (!this.#current) throw new Error('a block is used outside a request')
    block.cohort?.use(this.#table)
    block.uses++
    const blockClass = classOf(block.uses, this.#current.newTokens, isPartialTail)
    block.cohort = this.#cohortOf(blockClass, this.#current.atMs)
    block.cohort.join(this.#table)
    this.#usesSinceRefresh++
  }

  goesBefore = (a: Experienced, b: Experienced): boolean => {
    if (a.firstWanted !== b.firstWanted) return a.firstWanted > b.firstWanted
    if (a.cohort !== b.cohort) {
      const worthA = this.#worth(a)
      const worthB = this.#worth(b)
      if (worthA !== worthB) return worthA < worthB
    }
    return usedBefore(a, b)
  }

  victims<T extends Experienced>(residents: Iterable<T>, count: number): T[] {
    return selectFirst(residents, count, this.goesBefore)
  }

  #worth({ cohort }: Experienced): number {
    return cohort === null ? 0 : this.#table.value(cohort.blockClass, cohort.bin)
  }

  #cohortOf(blockClass: number, atMs: number): Cohort {
    const known = this.#newCohorts.get(blockClass)
    if (known) return known
    const cohort = new Cohort(blockClass, atMs)
    this.#newCohorts.set(blockClass, cohort)
    this.#queue.add(cohort)
    return cohort
  }
}
