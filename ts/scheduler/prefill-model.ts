// How long computing a prompt takes on this machine, learnt from the steps that ran: a step costs something by itself,
// something a row, and something a row for each token that the row attends to. Least squares over the recent steps.

/** Each step weighs so much less with every step after it: the last few hundred decide. */
const FADE = 0.995
/** Steps with fewer prompt rows say little about prompts. */
const LEAST_ROWS = 8
/** Nothing is estimated from fewer steps. */
const LEAST_STEPS = 3

/** Costs of a step: once, a row, and a row and token of history; milliseconds. */
type Costs = readonly [step: number, row: number, attended: number]

const TERMS = [0, 1, 2] as const

export class PrefillModel {
  /** Weighted sums of x·xᵀ and x·ms, where x = (1, rows, rows · history). */
  readonly #products = new Float64Array(9)
  readonly #targets = new Float64Array(3)
  #steps = 0
  #costs: Costs | null = null

  /** A step of `rows` prompt rows that attend to `history` tokens on average took `ms`, without waiting for loads. */
  stepTook(rows: number, history: number, ms: number): void {
    if (rows < LEAST_ROWS || !(ms > 0)) return
    const x = [1, rows, rows * history] as const
    // Relative errors count: else the longest steps alone would decide.
    const weight = 1 / ms ** 2
    for (const i of TERMS) {
      for (const j of TERMS) this.#products[3 * i + j] = FADE * (this.#products[3 * i + j] ?? 0) + weight * x[i] * x[j]
      this.#targets[i] = FADE * (this.#targets[i] ?? 0) + weight * x[i] * ms
    }
    this.#steps++
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
    return this.#steps >= LEAST_STEPS
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

  get #known(): Costs {
    return (this.#costs ??= this.#solve())
  }

  /** Non-negative costs: a term that would come out negative is left out. */
  #solve(): Costs {
    for (const terms of [[0, 1, 2], [0, 1], [1, 2], [1]]) {
      const costs = this.#solveFor(terms)
      if (costs?.every(cost => cost >= 0 && Number.isFinite(cost))) return [costs[0] ?? 0, costs[1] ?? 0, costs[2] ?? 0]
    }
    return [0, 0, 0]
  }

  /** Least squares in the given terms, by elimination; null: they cannot be told apart in what was measured. */
  #solveFor(terms: readonly number[]): number[] | null {
    const rows = terms.map(i => [...terms.map(j => this.#products[3 * i + j] ?? 0), this.#targets[i] ?? 0])
    const scale = terms.map(i => this.#products[4 * i] ?? 0)
    for (let pivot = 0; pivot < rows.length; pivot++) {
      const head = rows[pivot] as number[]
      const lead = head[pivot] ?? 0
      if (lead <= 1e-9 * (scale[pivot] ?? 0)) return null
      for (const other of rows) {
        if (other === head) continue
        const factor = (other[pivot] ?? 0) / lead
        head.forEach((value, column) => (other[column] = (other[column] ?? 0) - factor * value))
      }
    }
    const costs = [0, 0, 0]
    terms.forEach((term, i) => (costs[term] = (rows[i]?.at(-1) ?? 0) / (rows[i]?.[i] ?? 1)))
    return costs
  }
}
