// Weighted least squares in a few terms of which none may come out negative: what costs are learnt with.

export class LeastSquares {
  readonly #size: number
  readonly #fade: number
  readonly #choices: readonly (readonly number[])[]
  /** Weighted sums of x·xᵀ and x·y. */
  readonly #products: Float64Array
  readonly #targets: Float64Array

  /**
   * `choices`: which of the `size` terms are tried together, until none comes out negative. Each observation weighs `fade`
   * times as much with every one after it; 1: all count alike.
   */
  constructor(size: number, choices: readonly (readonly number[])[], fade = 1) {
    this.#size = size
    this.#fade = fade
    this.#choices = choices
    this.#products = new Float64Array(size * size)
    this.#targets = new Float64Array(size)
  }

  /** `x`: one value a term. */
  add(x: readonly number[], y: number, weight: number): void {
    const size = this.#size
    for (let i = 0; i < size; i++) {
      const xi = weight * (x[i] ?? 0)
      for (let j = 0; j < size; j++) {
        const at = i * size + j
        this.#products[at] = this.#fade * (this.#products[at] ?? 0) + xi * (x[j] ?? 0)
      }
      this.#targets[i] = this.#fade * (this.#targets[i] ?? 0) + xi * y
    }
  }

  /** Non-negative coefficients, one a term; 0 for a term that is left out. */
  solve(): number[] {
    for (const terms of this.#choices) {
      const found = this.#solveFor(terms)
      if (found?.every(value => value >= 0 && Number.isFinite(value))) return found
    }
    return Array<number>(this.#size).fill(0)
  }

  /** In the given terms, by elimination; null: they cannot be told apart in what was observed. */
  #solveFor(terms: readonly number[]): number[] | null {
    const at = (i: number, j: number): number => this.#products[i * this.#size + j] ?? 0
    const rows = terms.map(i => [...terms.map(j => at(i, j)), this.#targets[i] ?? 0])
    for (let pivot = 0; pivot < rows.length; pivot++) {
      const head = rows[pivot] as number[]
      const lead = head[pivot] ?? 0
      const term = terms[pivot] ?? 0
      if (lead <= 1e-9 * at(term, term)) return null
      for (const other of rows) {
        if (other === head) continue
        const factor = (other[pivot] ?? 0) / lead
        head.forEach((value, column) => (other[column] = (other[column] ?? 0) - factor * value))
      }
    }
    const found = Array<number>(this.#size).fill(0)
    terms.forEach((term, i) => (found[term] = (rows[i]?.at(-1) ?? 0) / (rows[i]?.[i] ?? 1)))
    return found
  }
}
