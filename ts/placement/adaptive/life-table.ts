// A life table: of the blocks of a class that came to an age, how many were used again in it.

import { AGE_BINS, binWidth } from './ages.js'
import { CLASSES, familiesOf, TWIN_FAMILIES, USE_FAMILIES } from './classes.js'

/** Blocks that a family's hazard weighs in its members' one: many, because blocks of one request come back together. */
const SHRINKAGE = 300

/** Blocks' worth of belief, before anything is seen, that use grows rarer with age: with it alone the order is LRU's. */
const PRIOR = 5000
const PRIOR_SCALE_MS = 300_000

class Counts {
  readonly used: Float64Array
  readonly atRisk: Float64Array

  constructor(members: number) {
    this.used = new Float64Array(members * AGE_BINS)
    this.atRisk = new Float64Array(members * AGE_BINS)
  }

  add(member: number, bin: number, used: number, atRisk: number): void {
    const at = member * AGE_BINS + bin
    this.used[at] = (this.used[at] ?? 0) + used
    this.atRisk[at] = (this.atRisk[at] ?? 0) + atRisk
  }

  /** Chance of a use within the bin, drawn towards `parent`. */
  hazard(member: number, bin: number, parent: number, weight: number): number {
    const at = member * AGE_BINS + bin
    return ((this.used[at] ?? 0) + weight * parent) / ((this.atRisk[at] ?? 0) + weight)
  }
}

function priorHazard(bin: number, startMs: number): number {
  return Math.min(0.5, (0.1 * binWidth(bin)) / (startMs + PRIOR_SCALE_MS))
}

export class LifeTable {
  readonly #all = new Counts(1)
  readonly #uses = new Counts(USE_FAMILIES)
  readonly #twins = new Counts(TWIN_FAMILIES)
  readonly #classes = new Counts(CLASSES)
  readonly #values = new Float64Array(CLASSES * AGE_BINS)

  constructor() {
    this.refresh()
  }

  /** `atRisk` blocks of a class came to the age of the bin; `used` of those that had were used in it. */
  count(blockClass: number, bin: number, used: number, atRisk: number): void {
    const [twins, uses] = familiesOf(blockClass)
    this.#all.add(0, bin, used, atRisk)
    this.#uses.add(uses, bin, used, atRisk)
    this.#twins.add(twins, bin, used, atRisk)
    this.#classes.add(blockClass, bin, used, atRisk)
  }

  /** Expected hits a block-millisecond of keeping a block of that class and age, as of the last `refresh`. */
  value(blockClass: number, bin: number): number {
    return this.#values[blockClass * AGE_BINS + bin] ?? 0
  }

  /** Makes the values anew from what was counted. */
  refresh(): void {
    const hazards = new Float64Array(AGE_BINS)
    for (let blockClass = 0; blockClass < CLASSES; blockClass++) {
      this.#hazards(blockClass, hazards)
      for (let bin = 0; bin < AGE_BINS; bin++) this.#values[blockClass * AGE_BINS + bin] = gittinsIndex(hazards, bin)
    }
  }

  #hazards(blockClass: number, into: Float64Array): void {
    const [twins, uses] = familiesOf(blockClass)
    let startMs = 0
    for (let bin = 0; bin < AGE_BINS; bin++) {
      const all = this.#all.hazard(0, bin, priorHazard(bin, startMs), PRIOR)
      const byUses = this.#uses.hazard(uses, bin, all, SHRINKAGE)
      const byTwins = this.#twins.hazard(twins, bin, byUses, SHRINKAGE)
      into[bin] = this.#classes.hazard(blockClass, bin, byTwins, SHRINKAGE)
      startMs += binWidth(bin)
    }
  }
}

/**
 * The best rate that keeping the block can earn: the largest, over how long to wait, of the chance of a use within that
 * time by the mean time until the use or the end of the wait (a Gittins index).
 */
export function gittinsIndex(hazards: Float64Array, from: number): number {
  let alive = 1
  let chance = 0
  let time = 0
  let best = 0
  for (let bin = from; bin < AGE_BINS; bin++) {
    const hazard = hazards[bin] ?? 0
    chance += alive * hazard
    time += alive * binWidth(bin) * (1 - hazard / 2)
    alive *= 1 - hazard
    best = Math.max(best, chance / time)
  }
  return best
}
