// How long computing a prompt takes on this machine, learnt from the steps that ran: a step costs something by itself,
// something a row, and something a row for each token that the row attends to. Least squares over the recent steps.

import { LeastSquares } from './least-squares.js'

/** The weight of each step fades by this factor with every step after it: the last few hundred decide. */
const FADE = 0.995
/** Steps with fewer prompt rows say little about prompts. */
const LEAST_ROWS = 8
/** Nothing is estimated from fewer steps. */
const LEAST_STEPS = 3

/** Terms: once a step, a row, a row and token of history; milliseconds each. */
const CHOICES = [[0, 1, 2], [0, 1], [1, 2], [1]] as const

export class PrefillModel {
  readonly #steps = new LeastSquares(3, CHOICES, FADE)
  #count = 0
  #costs: readonly number[] | null = null

  /** A step of `rows` prompt rows that attend to `history` tokens on average took `ms`, without waiting for loads. */
  stepTook(rows: number, history: number, ms: number): void {
    if (rows < LEAST_ROWS || !(ms > 0)) return
    // Relative errors count: else the longest steps alone would decide.
    this.#steps.add([1, rows, rows * history], ms, 1 / ms ** 2)
    this.#count++
    this.#costs = null
  }

  /** Estimated milliseconds to compute the first `tokens` tokens of a prompt, `chunk` rows a step; null: not measured yet. */
  promptMs(tokens: number, chunk: number): number | null {
    if (!this.isMeasured) return null
    if (tokens <= 0) return 0
    const [step, row, attended] = this.#known
    return Math.ceil(tokens / chunk) * step + tokens * row + (tokens * tokens * attended) / 2
  }

  get isMeasured(): boolean {
    return this.#count >= LEAST_STEPS
  }

  /** Estimated milliseconds of a step without its rows. */
  get stepMs(): number {
    return this.#known[0]
  }

  /** Estimated milliseconds that `rows` rows behind `history` tokens add to a step. */
  rowsMs(rows: number, history: number): number {
    const [, row, attended] = this.#known
    return rows * (row + (history + rows / 2) * attended)
  }

  /** How many rows behind `history` tokens are estimated to add at most `ms` milliseconds to a step. */
  rowsWithin(ms: number, history: number): number {
    if (ms <= 0) return 0
    const [, row, attended] = this.#known
    const each = row + history * attended
    if (attended === 0) return each === 0 ? Infinity : Math.floor(ms / each)
    return Math.floor((Math.sqrt(each * each + 2 * attended * ms) - each) / attended)
  }

  get #known(): readonly [step: number, row: number, attended: number] {
    const [step = 0, row = 0, attended = 0] = (this.#costs ??= this.#steps.solve())
    return [step, row, attended]
  }
}
