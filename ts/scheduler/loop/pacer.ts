// How long a step may take while others are about. A request that arrives in the middle of a step waits for its end, so a
// step that computes prompts is ended early where requests keep coming; and a prompt that a step cannot finish stands back
// behind those that it can, a bounded number of times.

import type { PrefillModel } from '../costs/prefill-model.js'
import type { Rates } from '../costs/rates.js'
import type { Sequence } from '../sequence/sequence.js'
import type { Traffic } from '../costs/traffic.js'

/** A millisecond that an arriving request waits weighs as much as so many by which a longer one becomes slower. */
const ARRIVAL_WEIGHT = 4
/** Fewer rows of a prompt take a step about as long as so many. */
const LEAST_ROWS = 8
/** A prompt that stood back in so many plans in a row is next. */
export const MOST_STOOD_BACK = 4

export class Pacer {
  readonly #traffic: Traffic
  readonly #rates: Rates
  readonly #prefill: PrefillModel
  /** Requests that wait for others to end. */
  readonly #waiting: () => number

  constructor(traffic: Traffic, rates: Rates, prefill: PrefillModel, waiting: () => number) {
    this.#traffic = traffic
    this.#rates = rates
    this.#prefill = prefill
    this.#waiting = waiting
  }

  /**
   * Milliseconds that a step with prompts in it may take; Infinity: nobody else is about, or nothing was measured. A step
   * costs f by itself, so in steps of q milliseconds work takes a share f/q longer, for the one that is computed and the n
   * that wait for it; those who arrive meanwhile, r a millisecond, wait q/2 each, which weighs w. (1 + n)·f/q + w·r·q/2 is least at
   * √(2f·(1 + n)/(w·r)). No less than 2f: half of a step is work.
   */
  get quantumMs(): number {
    const fixed = this.#rates.stepMs(1)
    const rate = this.#traffic.arrivalsPerMs
    if (rate === 0 || fixed === 0 || !this.#prefill.isMeasured) return Infinity
    return Math.max(2 * fixed, Math.sqrt((2 * fixed * (1 + this.#waiting())) / (ARRIVAL_WEIGHT * rate)))
  }

  /**
   * Some prompt is about to take longer than a step's own cost. Its step is planned when the one before is answered, so
   * that whoever arrives waits for one such step and not for two.
   */
  isHeavy(running: readonly Sequence[]): boolean {
    if (this.quantumMs === Infinity) return false
    const fixed = this.#rates.stepMs(1)
    return running.some(sequence => sequence.plannableRows > 1 && this.#prefill.rowsMs(sequence.plannableRows, sequence.planned) > fixed)
  }

  /** For the next plan. */
  begin(): StepPace {
    return new StepPace(this.#prefill, this.quantumMs, this.#rates.stepMs(1))
  }
}

/** What is left of one step's time. */
export class StepPace {
  readonly #prefill: PrefillModel
  /** What a step costs by itself. */
  readonly #ownMs: number
  #leftMs: number
  /** The step computes rows of a prompt, and the last ones of one. */
  #hasPrompt = false
  #endsPrompt = false

  constructor(prefill: PrefillModel, quantumMs: number, ownMs: number) {
    this.#prefill = prefill
    this.#ownMs = ownMs
    this.#leftMs = quantumMs - prefill.stepMs
  }

  /** Prompts in the order in which they are asked: who stood back too often, then the shortest. */
  order(prompts: readonly Sequence[]): readonly Sequence[] {
    if (this.#leftMs === Infinity || prompts.length < 2) return prompts
    const keyed = prompts.map(sequence => ({
      sequence,
      overdue: sequence.stoodBack >= MOST_STOOD_BACK ? sequence.stoodBack : 0,
      ms: this.#prefill.rowsMs(sequence.plannableRows, sequence.planned),
    }))
    return keyed.sort((a, b) => b.overdue - a.overdue || a.ms - b.ms).map(({ sequence }) => sequence)
  }

  /** How many of the `wished` rows that could be planned for a prompt now are; 0: it stands back. */
  rowsFor(sequence: Sequence, wished: number): number {
    if (this.#leftMs === Infinity) return wished
    const within = Math.min(wished, this.#prefill.rowsWithin(this.#leftMs, sequence.planned))
    if (within === sequence.plannableRows || this.#endsSoon(sequence, wished)) return wished
    const isFirst = !this.#hasPrompt
    if (isFirst || sequence.stoodBack >= MOST_STOOD_BACK) return Math.min(wished, Math.max(within, LEAST_ROWS))
    return this.#endsPrompt ? 0 : within
  }

  /** The step would end within its own cost after its time: another one for the rest of the prompt would take longer. */
  #endsSoon(sequence: Sequence, wished: number): boolean {
    return wished === sequence.plannableRows && this.#prefill.rowsMs(wished, sequence.planned) <= this.#leftMs + this.#ownMs
  }

  /** `rows` rows of the sequence are in the plan. */
  planned(sequence: Sequence, rows: number): void {
    if (this.#leftMs === Infinity) return
    this.#leftMs -= this.#prefill.rowsMs(rows, sequence.planned)
    this.#hasPrompt ||= sequence.plannableRows > 1
    this.#endsPrompt ||= sequence.plannableRows > 1 && rows === sequence.plannableRows
  }
}
