// How long a step may take while others are about. A request that arrives in the middle of a step waits for its end, so a
// step that computes prompts is ended early where requests keep coming; and a prompt that a step cannot finish stands back
// behind those that it can, a bounded number of times.

import type { CostModel } from '../costs/cost-model.js'
import type { Sequence } from '../sequence/sequence.js'
import type { Traffic } from '../costs/traffic.js'

/** Fewer rows of a prompt than these make a step no shorter. */
const LEAST_ROWS = 8
/** Plans in a row in which a prompt may stand back; then it is next. */
export const MOST_STOOD_BACK = 4

export class Pacer {
  readonly #traffic: Traffic
  readonly #costs: CostModel
  /** Requests that wait for others to end. */
  readonly #waiting: () => number

  constructor(traffic: Traffic, costs: CostModel, waiting: () => number) {
    this.#traffic = traffic
    this.#costs = costs
    this.#waiting = waiting
  }

  /** Milliseconds that a step with prompts in it may take; Infinity: no other request is about, or nothing was measured. */
  get quantumMs(): number {
    return this.#costs.quantumMs({ arrivalsPerMs: this.#traffic.arrivalsPerMs, waiting: this.#waiting() })
  }

  /**
   * Some prompt is about to take longer than a step's own cost. Its step is planned when the one before is answered, so
   * that an arriving request waits for one such step and not for two.
   */
  isHeavy(running: readonly Sequence[]): boolean {
    if (this.quantumMs === Infinity) return false
    const { ownMs } = this.#costs
    return running.some(sequence => sequence.plannableRows > 1 && this.#costs.rowsMs(sequence.plannableRows, sequence.progress.planned) > ownMs)
  }

  /** For the next plan. */
  begin(): StepPace {
    return new StepPace(this.#costs, this.quantumMs)
  }
}

/** The rest of one step's time. */
export class StepPace {
  readonly #costs: CostModel
  #leftMs: number
  /** The step computes rows of a prompt, and the last ones of one. */
  #hasPrompt = false
  #endsPrompt = false

  constructor(costs: CostModel, quantumMs: number) {
    this.#costs = costs
    this.#leftMs = quantumMs - costs.promptStepMs
  }

  /** Prompts in the order in which they are asked: who stood back too often, then the shortest. */
  order(prompts: readonly Sequence[]): readonly Sequence[] {
    if (this.#leftMs === Infinity || prompts.length < 2) return prompts
    const keyed = prompts.map(sequence => ({
      sequence,
      overdue: sequence.standing.stoodBack >= MOST_STOOD_BACK ? sequence.standing.stoodBack : 0,
      ms: this.#costs.rowsMs(sequence.plannableRows, sequence.progress.planned),
    }))
    return keyed.sort((a, b) => b.overdue - a.overdue || a.ms - b.ms).map(({ sequence }) => sequence)
  }

  /** How many of the `wished` rows that could be planned for a prompt now are; 0: it stands back. */
  rowsFor(sequence: Sequence, wished: number): number {
    if (this.#leftMs === Infinity) return wished
    const within = Math.min(wished, this.#costs.rowsWithin(this.#leftMs, sequence.progress.planned))
    if (within === sequence.plannableRows || this.#endsSoon(sequence, wished)) return wished
    const isFirst = !this.#hasPrompt
    if (isFirst || sequence.standing.stoodBack >= MOST_STOOD_BACK) return Math.min(wished, Math.max(within, LEAST_ROWS))
    return this.#endsPrompt ? 0 : within
  }

  /** The step would end within its own cost after its time: another one for the rest of the prompt would take longer. */
  #endsSoon(sequence: Sequence, wished: number): boolean {
    return wished === sequence.plannableRows && this.#costs.rowsMs(wished, sequence.progress.planned) <= this.#leftMs + this.#costs.ownMs
  }

  /** `rows` rows of the sequence are in the plan. */
  planned(sequence: Sequence, rows: number): void {
    if (this.#leftMs === Infinity) return
    this.#leftMs -= this.#costs.rowsMs(rows, sequence.progress.planned)
    this.#hasPrompt ||= sequence.plannableRows > 1
    this.#endsPrompt ||= sequence.plannableRows > 1 && rows === sequence.plannableRows
  }
}
