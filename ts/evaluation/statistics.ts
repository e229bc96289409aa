// Means of paired differences, and how sure they are.

/** Neighbouring tokens are alike in difficulty, so whole blocks of them are drawn. */
const BLOCK = 64
const DRAWS = 2000

export interface Estimate {
  readonly mean: number
  /** 95 % interval. */
  readonly low: number
  readonly high: number
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
}

/**
 * The mean over all `series`, with a moving-block bootstrap (Künsch 1989): as many values as there are, in blocks drawn
 * with replacement, each out of one series. `random` gives 0 ≤ x < 1.
 */
export function bootstrapMean(series: ReadonlyArray<readonly number[]>, random: () => number): Estimate {
  const values = series.flat()
  const sums = blockSums(series)
  const blocks = Math.max(1, Math.round(values.length / BLOCK))
  const means = Array.from({ length: DRAWS }, () => {
    let sum = 0
    let count = 0
    for (let block = 0; block < blocks; block++) {
      const drawn = sums[Math.floor(random() * sums.length)]
      sum += drawn?.sum ?? 0
      count += drawn?.count ?? 0
    }
    return sum / Math.max(1, count)
  }).sort((a, b) => a - b)
  return { mean: mean(values), low: quantile(means, 0.025), high: quantile(means, 0.975) }
}

/** Of every block that lies in a series; a series shorter than a block is one. */
function blockSums(series: ReadonlyArray<readonly number[]>): Array<{ readonly sum: number; readonly count: number }> {
  return series.flatMap(values => {
    const count = Math.min(BLOCK, values.length)
    if (count === 0) return []
    const until = [0]
    for (const value of values) until.push((until.at(-1) as number) + value)
    return Array.from({ length: values.length - count + 1 }, (_, start) => ({ sum: (until[start + count] as number) - (until[start] as number), count }))
  })
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}
