// The blocks that the tier would still hold under each of several orders, a cohort at a time: so that it is known, while one of them
// rules, how many more of the returning blocks another one would have kept. No bytes, no second cache: cohorts know their size.

import { AGE_BINS } from './ages.js'
import type { Cohort } from './cohorts.js'

/** Of a cohort: the lowest goes first, among equals the longest unused. */
export type Level = (cohort: Cohort) => number

/** The blocks that one order lets the tier hold. */
class Holding {
  readonly #level: Level
  readonly #bit: number
  /** The longest unused first. */
  #cohorts: Cohort[] = []

  constructor(level: Level, bit: number) {
    this.#level = level
    this.#bit = bit
  }

  add(cohort: Cohort): void {
    this.#cohorts.push(cohort)
  }

  /** Blocks that do not fit are lost. Beyond the last age nothing is told apart any more, nor counted. */
  shrinkTo(blocks: number): void {
    this.#cohorts = this.#cohorts.filter(({ waiting, bin }) => waiting > 0 && bin < AGE_BINS - 1)
    let excess = -blocks
    for (const { waiting } of this.#cohorts) excess += waiting
    if (excess <= 0) return
    for (const cohort of this.#inOrder()) {
      cohort.lostUnder |= this.#bit
      excess -= cohort.waiting
      if (excess <= 0) break
    }
    this.#cohorts = this.#cohorts.filter(({ lostUnder }) => (lostUnder & this.#bit) === 0)
  }

  /** Without sorting them: levels are few, and each has its cohorts in order of age. */
  *#inOrder(): Iterable<Cohort> {
    const byLevel = new Map<number, Cohort[]>()
    for (const cohort of this.#cohorts) {
      const level = this.#level(cohort)
      const alike = byLevel.get(level)
      if (alike) alike.push(cohort)
      else byLevel.set(level, [cohort])
    }
    for (const level of [...byLevel.keys()].sort((a, b) => a - b)) yield* byLevel.get(level) ?? []
  }
}

/** How an order does against the first one. */
export interface Standing {
  /** Returning blocks that it would have kept and the first one not, less those that it is the other way round with. */
  readonly lead: number
  /** Sum of the squares of what each turn added to the lead: how much of it may be chance. */
  readonly variance: number
}

export class Contest {
  readonly #holdings: readonly Holding[]
  readonly #leads: Float64Array
  readonly #variances: Float64Array
  /** The counts that the turn under way has added. */
  readonly #turn: Float64Array

  /** Orders by level; the first is the one that the others are held against. */
  constructor(levels: readonly Level[]) {
    this.#holdings = levels.map((level, order) => new Holding(level, 1 << order))
    this.#leads = new Float64Array(levels.length)
    this.#variances = new Float64Array(levels.length)
    this.#turn = new Float64Array(levels.length)
  }

  entered(cohort: Cohort): void {
    for (const holding of this.#holdings) holding.add(cohort)
  }

  /** One of the cohort's blocks is used again. */
  returned({ lostUnder }: Cohort): void {
    if (lostUnder === 0) return
    const first = lostUnder & 1
    for (let order = 1; order < this.#turn.length; order++) this.#turn[order] = (this.#turn[order] ?? 0) + first - ((lostUnder >> order) & 1)
  }

  /** The next uses are another turn's: blocks of one come back together, and count as one observation. */
  nextTurn(): void {
    for (let order = 1; order < this.#turn.length; order++) {
      const added = this.#turn[order] ?? 0
      this.#leads[order] = (this.#leads[order] ?? 0) + added
      this.#variances[order] = (this.#variances[order] ?? 0) + added * added
    }
    this.#turn.fill(0)
  }

  /** Infinity: nothing has to go yet. */
  shrinkTo(blocks: number): void {
    for (const holding of this.#holdings) holding.shrinkTo(blocks)
  }

  standing(order: number): Standing {
    return { lead: this.#leads[order] ?? 0, variance: this.#variances[order] ?? 0 }
  }

  /** Leaves a share of what was found so far. */
  forget(share: number): void {
    for (let order = 1; order < this.#leads.length; order++) {
      this.#leads[order] = (this.#leads[order] ?? 0) * share
      this.#variances[order] = (this.#variances[order] ?? 0) * share
    }
  }
}
