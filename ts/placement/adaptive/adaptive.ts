// Our own policy: expected hits a block-second, from chances of the next use that are learnt online, a class of blocks.
// A block that the queue wants is the certain case and goes last. docs/design/placement.md says why.

import { usedBefore } from '../lru.js'
import { selectFirst } from '../select.js'
import type { Experienced, History, PlacementPolicy, TurnFacts, TurnUse } from '../types.js'
import { classOf } from './classes.js'
import { Cohort, CohortQueue } from './cohorts.js'
import { LifeTable } from './life-table.js'
import { Trust } from './trust.js'

/** Uses between two refreshes of the values: they change slowly. */
const REFRESH_EVERY = 2048

/** Logarithm of how many times as much a block is worth whose sender expects to come back, and for how long. */
const AWAITED_BONUS = Math.log(4)
const AWAITED_MS = 86_400_000

/** The state that all turns of one policy share. */
class Lessons {
  readonly table = new LifeTable()
  readonly queue = new CohortQueue(this.table)
  readonly #trust = new Trust(this.table)
  /** Milliseconds: the latest beginning of a turn. */
  now = -Infinity
  #sinceRefresh = 0

  moveTo(atMs: number, capacity: number): void {
    this.now = Math.max(this.now, atMs)
    this.queue.advance(this.now)
    this.#trust.nextTurn(capacity)
    if (this.#sinceRefresh < REFRESH_EVERY) return
    this.#sinceRefresh = 0
    this.table.refresh(this.#trust.refresh())
  }

  /** A new cohort, as old as the latest turn: the queue needs them in order of age. */
  cohort(blockClass: number, isAwaited: boolean): Cohort {
    const cohort = new Cohort(blockClass, this.now, isAwaited)
    this.queue.add(cohort)
    this.#trust.entered(cohort)
    return cohort
  }

  use(block: History, cohort: Cohort, wasThere: boolean): void {
    if (block.cohort !== null) {
      block.cohort.use(this.table)
      this.#trust.returned(block.cohort, wasThere)
    }
    block.cohort = cohort
    cohort.join(this.table)
    this.#sinceRefresh++
    this.#trust.used()
  }
}

export class AdaptivePolicy implements PlacementPolicy<Experienced> {
  readonly name = 'adaptive'
  readonly leavesFirst = true
  readonly drifts = true
  readonly #lessons = new Lessons()

  begin({ atMs, newTokens, retention, capacity = 0 }: TurnFacts): TurnUse {
    this.#lessons.moveTo(atMs, capacity)
    return new AdaptiveTurn(this.#lessons, newTokens, retention === 'day')
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
    if (cohort === null) return -Infinity
    const { table, now } = this.#lessons
    const value = table.value(cohort.blockClass, cohort.bin)
    return cohort.isAwaited && now - cohort.usedAt < AWAITED_MS ? value + AWAITED_BONUS : value
  }
}

/** Blocks of one turn, a cohort a class. */
class AdaptiveTurn implements TurnUse {
  readonly #lessons: Lessons
  readonly #newTokens: number
  readonly #isAwaited: boolean
  /** Few: one for each class that its blocks were in. */
  readonly #cohorts: Cohort[] = []

  constructor(lessons: Lessons, newTokens: number, isAwaited: boolean) {
    this.#lessons = lessons
    this.#newTokens = newTokens
    this.#isAwaited = isAwaited
  }

  used(block: History, isPartialTail: boolean, wasThere: boolean): void {
    if (block.cohort !== null && this.#cohorts.includes(block.cohort)) return
    const gapMs = block.cohort === null ? null : this.#lessons.now - block.cohort.usedAt
    block.uses++
    const cohort = this.#cohortOf(classOf({ uses: block.uses, gapMs, newTokens: this.#newTokens, isPartialTail }))
    this.#lessons.use(block, cohort, wasThere)
  }

  #cohortOf(blockClass: number): Cohort {
    for (const cohort of this.#cohorts) if (cohort.blockClass === blockClass) return cohort
    const cohort = this.#lessons.cohort(blockClass, this.#isAwaited)
    this.#cohorts.push(cohort)
    return cohort
  }
}
