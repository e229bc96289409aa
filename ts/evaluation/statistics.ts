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
 * The mean of `values`, with a moving-block bootstrap (Künsch 1989): as many blocks as there are, drawn with replacement.
 * `random` gives 0 ≤ x < 1.
 */
export function bootstrapMean(values: readonly number[], random: () => number): Estimate {
  const length = Math.min(BLOCK, values.length)
  const starts = values.length - length + 1
  const sums = [0]
  for (const value of values) sums.push((sums.at(-1) as number) + value)
  const blocks = Math.max(1, Math.round(values.length / Math.max(1, length)))
  const means = Array.from({ length: DRAWS }, () => {
    let sum = 0
    for (let block = 0; block < blocks; block++) {
      const start = Math.floor(random() * starts)
      sum += (sums[start + length] as number) - (sums[start] as number)
    }
    return sum / Math.max(1, blocks * length)
  }).sort((a, b) => a - b)
  return { mean: mean(values), low: quantile(means, 0.025), high: quantile(means, 0.975) }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}
