// The counts in a test runner's output, in one shape for all runners.

/** Counts of one suite, and the names that have to be shown again at the end. */
export interface Tally {
  passed: number
  readonly failed: string[]
  readonly skipped: string[]
}

/** Reads a runner's output line by line. */
export interface OutputReader {
  line(text: string): void
  readonly tally: Tally
}

export function emptyTally(): Tally {
  return { passed: 0, failed: [], skipped: [] }
}

/** The sum of several suites; names are prefixed with their suite's. */
export function sumTallies(tallies: ReadonlyMap<string, Tally>): Tally {
  const sum = emptyTally()
  for (const [suite, tally] of tallies) {
    sum.passed += tally.passed
    sum.failed.push(...tally.failed.map((name) => `${suite}: ${name}`))
    sum.skipped.push(...tally.skipped.map((name) => `${suite}: ${name}`))
  }
  return sum
}

/** The plain closing line that any reader of the output understands. */
export function closingLine(tally: Tally): string {
  return `${tally.passed} passed, ${tally.failed.length} failed, ${tally.skipped.length} skipped`
}
