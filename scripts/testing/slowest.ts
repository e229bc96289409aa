// Where a suite's time goes: the seconds before each end of a test, the longest of them and their sum.

import { performance } from 'node:perf_hooks'

/** Tests named at the end of a run. */
const SHOWN = 4
/** A test below is no test to shorten. */
const WORTH_NAMING_SECONDS = 5

/**
 * A runner reports a test when it ends, not when it begins. The time since the end before is a test's own where tests run
 * one after the other, and includes the start of its file.
 */
export class SlowestTests {
  readonly #start: number
  #previous: number
  readonly #tests: { readonly line: string; readonly seconds: number }[] = []

  constructor(readonly now: () => number = () => performance.now()) {
    this.#start = this.#previous = now()
  }

  ended(line: string): void {
    const now = this.now()
    this.#tests.push({ line, seconds: (now - this.#previous) / 1000 })
    this.#previous = now
  }

  /** Whole seconds since the start. */
  get seconds(): number {
    return Math.round((this.now() - this.#start) / 1000)
  }

  /** "12 s: the test's line", the longest first. */
  get lines(): readonly string[] {
    return this.#tests
      .filter(({ seconds }) => seconds >= WORTH_NAMING_SECONDS)
      .sort((a, b) => b.seconds - a.seconds)
      .slice(0, SHOWN)
      .map(({ line, seconds }) => `${Math.round(seconds)} s: ${line}`)
  }
}
