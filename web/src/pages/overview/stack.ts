import type { Values } from '../../history/history.js'

/** Each series on top of those before it; null where it or one below it has no value. */
export function stacked(series: readonly Values[]): readonly Values[] {
  const sums: Values[] = []
  for (const values of series) {
    const below = sums.at(-1)
    sums.push(values.map((value, index) => {
      const base = below ? (below[index] ?? null) : 0
      return value === null || base === null ? null : value + base
    }))
  }
  return sums
}
