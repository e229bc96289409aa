// Blocks that one request used, a class at a time: they grow old together, so their ages are kept once.

import { AGE_BINS, binEnd } from './ages.js'
import type { LifeTable } from './life-table.js'

const LAST_BIN = AGE_BINS - 1

/** Blocks of one class with one last use. */
export class Cohort {
  /** The bin of their age. */
  bin = 0
  /** Blocks that joined, and those of them that were not used since. */
  size = 0
  waiting = 0
  /** Orders of the contest under which the blocks would be gone by now, one bit each. */
  lostUnder = 0
  /** The weight of one of the blocks; 0: none has been counted yet. */
  #weight = 0

  constructor(
    readonly blockClass: number,
    readonly usedAt: number,
    /** Its sender expects to come back within a day. */
    readonly isAwaited = false,
  ) {}

  /** One more block; a long turn adds some when the first have aged. */
  join(table: LifeTable): void {
    this.size++
    this.waiting++
    if (this.#weight > 0) table.count(this.blockClass, this.bin, 0, this.#weight)
  }

  /** One of the blocks is used again. */
  use(table: LifeTable): void {
    this.#beCounted(table)
    this.waiting--
    table.count(this.blockClass, this.bin, this.#weight, 0)
  }

  /**
   * The blocks come to the next bin, and are counted in it at once: were they counted when they leave it, the ages that
   * only the oldest have reached would show uses and no failures.
   */
  age(table: LifeTable): void {
    this.#beCounted(table)
    this.bin++
    if (this.waiting > 0) table.count(this.blockClass, this.bin, 0, this.waiting * this.#weight)
  }

  /**
   * A cohort counts as the square root of its blocks: they come back together, so a thousand are little more than one
   * observation, and yet it is blocks that a tier keeps.
   */
  #beCounted(table: LifeTable): void {
    if (this.#weight > 0) return
    const mass = Math.sqrt(this.size)
    this.#weight = mass / this.size
    table.observed(mass)
    table.count(this.blockClass, this.bin, 0, this.waiting * this.#weight)
  }
}

/** A queue of cohorts by age, and for every bin the place of the first that has not yet left it. */
export class CohortQueue {
  readonly #table: LifeTable
  #cohorts: Cohort[] = []
  /** Of each bin but the last: index in `#cohorts`. Non-increasing: who left a later bin has left the earlier ones. */
  readonly #first = new Int32Array(LAST_BIN)

  constructor(table: LifeTable) {
    this.#table = table
  }

  add(cohort: Cohort): void {
    this.#cohorts.push(cohort)
  }

  /** Moves every cohort to the bin of its age. */
  advance(now: number): void {
    for (let bin = 0; bin < LAST_BIN; bin++) {
      let at = this.#first[bin] ?? 0
      for (; at < this.#cohorts.length; at++) {
        const cohort = this.#cohorts[at] as Cohort
        if (now - cohort.usedAt < binEnd(bin)) break
        cohort.age(this.#table)
      }
      this.#first[bin] = at
    }
    this.#forget()
  }

  /** Drops what has reached the last bin: it ages no more. */
  #forget(): void {
    const gone = this.#first[LAST_BIN - 1] ?? 0
    if (gone < 1024 || gone < this.#cohorts.length / 2) return
    this.#cohorts = this.#cohorts.slice(gone)
    for (let bin = 0; bin < LAST_BIN; bin++) this.#first[bin] = (this.#first[bin] ?? 0) - gone
  }
}
