// The form of answers that the simulated engine knows: `<think>reasoning</think>` and `<tool_call>name{arguments}</tool_call>`.
// Its model writes neither by itself: scripts do, for tests of all that reads answers.

import type { OutputPart, OutputReading } from '../types.js'

type Mode = 'content' | 'reasoning' | 'name' | 'arguments'

/** Tags by the mode in which they count, and the mode that they begin. */
const TAGS: Readonly<Record<Mode, ReadonlyArray<readonly [tag: string, next: Mode]>>> = {
  content: [
    ['<think>', 'reasoning'],
    ['<tool_call>', 'name'],
  ],
  reasoning: [['</think>', 'content']],
  name: [['{', 'arguments']],
  arguments: [['</tool_call>', 'content']],
}

/** Reads one answer, in pieces of any size. */
export class OutputReader {
  readonly #reading: OutputReading | undefined
  #mode: Mode
  #held = ''
  #name = ''

  constructor(reading: OutputReading | undefined) {
    this.#reading = reading
    this.#mode = reading?.startsInReasoning ? 'reasoning' : 'content'
  }

  get inReasoning(): boolean {
    return this.#mode === 'reasoning'
  }

  push(text: string): OutputPart[] {
    if (!this.#reading) return text === '' ? [] : [{ kind: 'content', text }]
    const parts: OutputPart[] = []
    for (const character of text) {
      this.#held += character
      this.#release(parts)
    }
    return parts
  }

  /** What has come is done with: what was held back is text, a call is over, and neither is told. */
  settle(): void {
    if (this.#mode !== 'reasoning') this.#mode = 'content'
    this.#name = ''
    this.#held = ''
  }

  /** What was held back, as the text that it is. */
  finish(): OutputPart[] {
    const parts: OutputPart[] = []
    const held = this.#mode === 'name' ? `<tool_call>${this.#name}${this.#held}` : this.#held
    if (this.#mode === 'name') this.#mode = 'content'
    this.#held = ''
    this.#give(held, parts)
    return parts
  }

  #tags(): ReadonlyArray<readonly [string, Mode]> {
    return TAGS[this.#mode].filter(([tag]) => tag !== '<tool_call>' || this.#reading?.calls)
  }

  #release(parts: OutputPart[]): void {
    while (this.#held !== '') {
      const tags = this.#tags()
      const found = tags.find(([tag]) => tag === this.#held)
      if (found) return this.#enter(found[1], parts)
      if (tags.some(([tag]) => tag.startsWith(this.#held))) return
      const [first] = this.#held
      this.#held = this.#held.slice((first as string).length)
      this.#give(first as string, parts)
    }
  }

  #enter(mode: Mode, parts: OutputPart[]): void {
    if (mode === 'arguments') parts.push({ kind: 'call', name: this.#name }, { kind: 'arguments', text: '{' })
    this.#name = ''
    this.#held = ''
    this.#mode = mode
  }

  #give(text: string, parts: OutputPart[]): void {
    if (this.#mode === 'name') this.#name += text
    else if (text !== '') parts.push({ kind: this.#mode, text })
  }
}
