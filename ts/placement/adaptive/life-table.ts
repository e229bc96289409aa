// A life table: of the blocks of a class that came to an age, how many were used again in it.

import { AGE_BINS, binEnd, binWidth } from './ages.js'
import { CLASSES, familiesOf, RHYTHM_FAMILIES, TWIN_FAMILIES } from './classes.js'

/** Cohorts that a family's hazard weighs in its members' one: blocks of one turn come back together, so they count as one. */
const SHRINKAGE = 10

/** Cohorts' worth of belief, before anything is seen, that use grows rarer with age: with it alone the order is LRU's. */
const PRIOR = 200
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

/** Of each bin, the worth that gives LRU's order: four times as old is worth a quarter. */
const OBLIVIOUS = Float64Array.from({ length: AGE_BINS }, (_, bin) => -Math.log(bin === 0 ? binWidth(0) : binEnd(bin - 1) + binWidth(bin)))

/** Of each bin, before anything is seen. */
const PRIOR_HAZARDS = priorHazards()

function priorHazards(): Float64Array {
  const hazards = new Float64Array(AGE_BINS)
  let startMs = 0
  for (let bin = 0; bin < AGE_BINS; bin++) {
    hazards[bin] = Math.min(0.5, (0.1 * binWidth(bin)) / (startMs + PRIOR_SCALE_MS))
    startMs += binWidth(bin)
  }
  return hazards
}

export class LifeTable {
  readonly #all = new Counts(1)
  readonly #rhythms = new Counts(RHYTHM_FAMILIES)
  readonly #twins = new Counts(TWIN_FAMILIES)
  readonly #classes = new Counts(CLASSES)
  readonly #worths = new Float64Array(CLASSES * AGE_BINS)
  /** Round of refreshing in which the worths of each class were made. */
  readonly #madeIn = new Uint32Array(CLASSES)
  readonly #hazards = new Float64Array(AGE_BINS)
  #round = 1
  /** Before the first refresh too little was counted for any difference. */
  #caution = Infinity
  /** Sums over the cohorts of their masses, and of these squared. */
  #masses = 0
  #squares = 0

  /** `atRisk` blocks of a class came to the age of the bin; `used` of those that had were used in it. */
  count(blockClass: number, bin: number, used: number, atRisk: number): void {
    const [twins, rhythm] = familiesOf(blockClass)
    this.#all.add(0, bin, used, atRisk)
    this.#rhythms.add(rhythm, bin, used, atRisk)
    this.#twins.add(twins, bin, used, atRisk)
    this.#classes.add(blockClass, bin, used, atRisk)
  }

  /** A cohort of that mass is counted from now on. */
  observed(mass: number): void {
    this.#masses += mass
    this.#squares += mass * mass
  }

  /**
   * Logarithm of the hits a block-millisecond that keeping a block of that class and age earns, as of the last `refresh`;
   * without trust in what was learnt, one that falls with age alone.
   */
  value(blockClass: number, bin: number): number {
    if (this.#caution === Infinity) return OBLIVIOUS[bin] ?? 0
    const worth = this.worth(blockClass, bin)
    return toldApart(worth, this.#caution)
  }

  /** The same, as it was learnt. */
  worth(blockClass: number, bin: number): number {
    if (this.#madeIn[blockClass] !== this.#round) this.#make(blockClass)
    return this.#worths[blockClass * AGE_BINS + bin] ?? 0
  }

  /**
   * Worths are made anew from what was counted, each when it is asked for. Those whose logarithms differ by less than
   * `caution` count as equal; Infinity: all of one age do.
   */
  refresh(caution: number): void {
    this.#caution = caution
    this.#round++
  }

  #make(blockClass: number): void {
    this.#madeIn[blockClass] = this.#round
    this.#fillHazards(blockClass)
    for (let bin = 0; bin < AGE_BINS; bin++) this.#worths[blockClass * AGE_BINS + bin] = Math.log(gittinsIndex(this.#hazards, bin))
  }

  #fillHazards(blockClass: number): void {
    const [twins, rhythm] = familiesOf(blockClass)
    const cohort = this.#masses === 0 ? 1 : this.#squares / this.#masses
    const weight = SHRINKAGE * cohort
    for (let bin = 0; bin < AGE_BINS; bin++) {
      const all = this.#all.hazard(0, bin, PRIOR_HAZARDS[bin] ?? 0, PRIOR * cohort)
      const byRhythm = this.#rhythms.hazard(rhythm, bin, all, weight)
      const byTwins = this.#twins.hazard(twins, bin, byRhythm, weight)
      this.#hazards[bin] = this.#classes.hazard(blockClass, bin, byTwins, weight)
    }
  }
}

/**
 * The best rate that keeping the block can earn, in hits a block-millisecond: the largest, over how long to wait, of the
 * chance of a use within that time by the mean time until the use or the end of the wait (a Gittins index).
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

/** The worth, or what all those have in common from which it differs by less than `caution`, which is finite. */
export function toldApart(worth: number, caution: number): number {
  return caution === 0 ? worth : Math.floor(worth / caution) * caution
}
