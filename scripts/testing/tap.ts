// Reads TAP as AVA writes it.

import { emptyTally, type OutputReader, type Tally } from './tally.js'

const RESULT = /^(ok|not ok) \d+ - (.*)$/
const DIRECTIVE = /^(.*?) # (SKIP|TODO)\b.*$/

export class TapReader implements OutputReader {
  readonly tally: Tally = emptyTally()

  line(text: string): void {
    const result = RESULT.exec(text)
    if (!result) return
    const [, status, rest = ''] = result
    const directive = DIRECTIVE.exec(rest)
    if (directive) this.tally.skipped.push(directive[1] ?? rest)
    else if (status === 'ok') this.tally.passed += 1
    else this.tally.failed.push(rest)
  }
}
