// Reads what cargo's own test runner writes. A Rust test cannot skip itself; one that lacks something outside the
// repository prints `skipped: REASON` (shown because of --show-output) and returns, and is counted as skipped here; as
// failed where REQUIRE names what the reason names.

import { emptyTally, type OutputReader, type Tally } from './tally.js'

const RESULT = /^test (.+?) \.\.\. (ok|FAILED|ignored)/
const OUTPUT_OF = /^---- (.+) stdout ----$/
const SKIPPED = /^skipped: (.+)$/
const END = /^test result: /

export class LibtestReader implements OutputReader {
  readonly tally: Tally = emptyTally()
  private outputOf: string | null = null

  /** @param required Words of REQUIRE, e.g. `model`. */
  constructor(private readonly required: readonly string[] = []) {}

  line(text: string): void {
    const result = RESULT.exec(text)
    if (result) return this.count(result[1] ?? '', result[2] ?? '')
    const output = OUTPUT_OF.exec(text)
    if (output) this.outputOf = output[1] ?? null
    else if (END.test(text)) this.outputOf = null
    else if (this.outputOf) this.noteSkip(this.outputOf, text)
  }

  private count(name: string, outcome: string): void {
    if (outcome === 'ok') this.tally.passed += 1
    else if (outcome === 'FAILED') this.tally.failed.push(name)
    else this.tally.skipped.push(name)
  }

  private noteSkip(name: string, text: string): void {
    const skipped = SKIPPED.exec(text)
    if (!skipped) return
    this.tally.passed -= 1
    const reason = skipped[1] ?? ''
    const isRequired = this.required.some((word) => new RegExp(`\\b${word}\\b`).test(reason))
    const list = isRequired ? this.tally.failed : this.tally.skipped
    list.push(`${name} (${reason})`)
    this.outputOf = null
  }
}
