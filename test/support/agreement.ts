// How far log probabilities of a server agree with those of computing everything, token by token over the same text. On a
// GPU other chunks sum in another order, so they are near, and the likeliest token may differ only where two are.

/** What was said about one token of an answer. */
export interface Position {
  /** Tokens with their log probabilities, likeliest first. */
  readonly actual: ReadonlyArray<readonly [token: number, logprob: number]>
  /** Log probabilities of all tokens, in the token's place. */
  readonly reference: Float32Array
}

export interface Agreement {
  /** ‖actual − reference‖ / ‖reference‖ over everything that was said. */
  readonly distance: number
  /** Positions whose likeliest tokens differ. */
  readonly differences: number
  /** Those of them that are no near-ties: index, the reference's margin, and what a near-tie stays below. */
  readonly wide: ReadonlyArray<{ readonly index: number; readonly margin: number; readonly bound: number }>
}

/** A near-tie: the reference's two likeliest are closer than so many times the root mean square of the differences. */
const NEAR = 4

export function agreement(positions: readonly Position[]): Agreement {
  let [error, size, differences] = [0, 0, 0]
  const wide: Array<{ index: number; margin: number; bound: number }> = []
  positions.forEach(({ actual, reference }, index) => {
    const squares = actual.reduce((sum, [token, logprob]) => sum + (logprob - at(reference, token)) ** 2, 0)
    error += squares
    size += actual.reduce((sum, [token]) => sum + at(reference, token) ** 2, 0)
    const [best, margin] = likeliest(reference)
    if (actual[0]?.[0] === best) return
    differences += 1
    const bound = NEAR * Math.sqrt(squares / Math.max(1, actual.length))
    if (!(margin < bound)) wide.push({ index, margin, bound })
  })
  // NaN, where anything is not a number, is no agreement either.
  return { distance: error === 0 ? 0 : Math.sqrt(error / size), differences, wide }
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
