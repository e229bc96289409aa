// How far log probabilities of a server agree with those of computing everything, token by token over the same text. On a
// GPU other chunks sum in another order, so they are near, and the likeliest token may differ only where two are.

/** The log probabilities that were given for one token of an answer. */
export interface Position {
  /** Names it in a failure. */
  readonly where: string
  /** Tokens with their log probabilities, likeliest first. */
  readonly actual: ReadonlyArray<readonly [token: number, logprob: number]>
  /** Log probabilities of all tokens, in the token's place. */
  readonly reference: Float32Array
}

/** Likeliest tokens that differ, and are no near-tie: the reference's margin, and what a near-tie stays below. */
export interface Wide {
  readonly where: string
  readonly margin: number
  readonly bound: number
}

/** A near-tie: the reference's two likeliest are closer than this many times the root mean square of the differences. */
const NEAR = 4

/** Of positions that are told one after another; of a reference as large as a vocabulary nothing is kept. */
export class Agreement {
  #error = 0
  #size = 0
  #positions = 0
  #differences = 0
  readonly #wide: Wide[] = []

  add({ where, actual, reference }: Position): void {
    const squares = actual.reduce((sum, [token, logprob]) => sum + (logprob - at(reference, token)) ** 2, 0)
    this.#error += squares
    this.#size += actual.reduce((sum, [token]) => sum + at(reference, token) ** 2, 0)
    this.#positions += 1
    const [best, margin] = likeliest(reference)
    if (actual[0]?.[0] === best) return
    this.#differences += 1
    const bound = NEAR * Math.sqrt(squares / Math.max(1, actual.length))
    if (!(margin < bound)) this.#wide.push({ where, margin, bound })
  }

  get positions(): number {
    return this.#positions
  }

  /** ‖actual − reference‖ / ‖reference‖ over everything that was said. NaN, where anything is not a number, is none. */
  get distance(): number {
    return this.#error === 0 ? 0 : Math.sqrt(this.#error / this.#size)
  }

  /** Positions whose likeliest tokens differ. */
  get differences(): number {
    return this.#differences
  }

  /** Those of them that are no near-ties. */
  get wide(): readonly Wide[] {
    return this.#wide
  }
}

function at(row: Float32Array, token: number): number {
  return row[token] ?? Number.NaN
}

/** The likeliest token (the first among equals), and how far the next one is behind. */
function likeliest(row: Float32Array): readonly [token: number, margin: number] {
  let [best, next] = [0, Number.NEGATIVE_INFINITY]
  for (let token = 1; token < row.length; token++) {
    const value = at(row, token)
    if (value > at(row, best)) {
      next = at(row, best)
      best = token
    } else if (value > next) next = value
  }
  return [best, at(row, best) - next]
}
