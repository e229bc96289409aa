// How far what was learnt is trusted: altogether, in its large differences only, or not at all, which is LRU. The three run
// against each other (contest.ts), and what was learnt rules if it kept more of what came back than LRU would have. The
// proof that it needs depends on the blocks that can be lost: where most of what comes back is gone it may even fall a little
// behind, where nearly all is still there a few old blocks decide, and only a clear lead counts.

import type { Cohort } from './cohorts.js'
import { Contest } from './contest.js'
import { toldApart, type LifeTable } from './life-table.js'

/** Logarithm of the ratio of two worths that count as equal. */
const LARGE_DIFFERENCES = Math.LN2
const CAUTIONS = [Infinity, 0, LARGE_DIFFERENCES] as const
/** Share of the returning blocks that are still there: up to the first it is few of them, from the second on nearly all. */
const FEW_UP_TO = 0.6
const NEARLY_ALL_FROM = 0.85
/** Standard deviations that the lead has to have there; between the two on a line. */
const LEAST_DEMAND = -3
const MOST_DEMAND = 2
/** Share of the returning blocks by which it may be behind at most: of few, deviations allow too many. */
const MOST_BEHIND = 0.02
/** Share of the returning blocks by which it has to lead besides: a cohort goes in one piece here, and in the tier it does not. */
const MARGIN = 0.004
/** The part of the counts that a refresh leaves. */
const MEMORY = 0.995
/** Returns before which nothing is concluded. */
const FEW = 1000
/** Uses between two looks at what the orders would hold: at least this number, and a part of the capacity. */
const LOOK_EVERY = 2048
const LOOK_SHARE = 1 / 8

export class Trust {
  readonly #contest: Contest
  #kept = 0
  #lost = 0
  #sinceLook = 0
  #capacity = 0

  constructor(table: LifeTable) {
    const level = ({ blockClass, bin }: Cohort, caution: number): number => (caution === Infinity ? 0 : toldApart(table.worth(blockClass, bin), caution))
    this.#contest = new Contest(CAUTIONS.map(caution => cohort => level(cohort, caution)))
  }

  entered(cohort: Cohort): void {
    this.#contest.entered(cohort)
  }

  used(): void {
    this.#sinceLook++
  }

  /** A block of the cohort came back, and was or was not still there. */
  returned(cohort: Cohort, wasThere: boolean): void {
    if (wasThere) this.#kept++
    else this.#lost++
    this.#contest.returned(cohort)
  }

  /** A turn begins. `capacity`: blocks that the cache holds, if it is full; else 0. */
  nextTurn(capacity: number): void {
    this.#capacity = capacity
    this.#contest.nextTurn()
    if (this.#sinceLook < Math.max(LOOK_EVERY, capacity * LOOK_SHARE)) return
    this.#sinceLook = 0
    this.#contest.shrinkTo(capacity === 0 ? Infinity : capacity)
  }

  /** The logarithm of the ratio of two worths that count as equal; 0: all differences count; Infinity: none does. */
  refresh(): number {
    this.#kept *= MEMORY
    this.#lost *= MEMORY
    this.#contest.forget(MEMORY)
    return this.#capacity === 0 ? this.#unproven() : this.#winner()
  }

  /** While nothing has to go for good, there is nothing to be proven by. */
  #unproven(): number {
    return LARGE_DIFFERENCES * this.#plenty()
  }

  #winner(): number {
    const demand = LEAST_DEMAND + (MOST_DEMAND - LEAST_DEMAND) * this.#plenty()
    const returns = this.#kept + this.#lost
    let best = { caution: Infinity, score: 0 }
    CAUTIONS.forEach((caution, order) => {
      if (caution === Infinity) return
      const { lead, variance } = this.#contest.standing(order)
      // One turn more or less of the capacity's root is chance, however little was seen.
      const asked = Math.max(demand * Math.sqrt(variance + this.#capacity), -MOST_BEHIND * returns)
      const score = lead - asked - MARGIN * returns
      if (score > best.score) best = { caution, score }
    })
    return best.caution
  }

  /** 0: most of what comes back is gone; 1: nearly all of it is still there. */
  #plenty(): number {
    const share = this.#kept / (this.#kept + this.#lost + FEW)
    return Math.min(1, Math.max(0, (share - FEW_UP_TO) / (NEARLY_ALL_FROM - FEW_UP_TO)))
  }
}
