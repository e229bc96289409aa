// One block of a trace as the one-tier cache knows it: what every policy may want to know.

import type { Cohort } from '../../placement/adaptive/cohorts.js'
import type { Foreseen } from '../../placement/belady.js'
import type { Heaped } from '../../placement/heap.js'
import type { Experienced } from '../../placement/types.js'

export class TraceBlock implements Foreseen, Experienced, Heaped {
  heapAt = -1
  isResident = false
  /** Resident blocks that continue it. */
  children = 0
  lastUse = 0
  born = 0
  firstWanted = Infinity
  nextUse = Infinity
  uses = 0
  cohort: Cohort | null = null

  constructor(
    readonly parent: TraceBlock | null,
    readonly index: number,
  ) {}
}
