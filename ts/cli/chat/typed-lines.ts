// The lines that a person types, or that a pipe brings, one at a time.

import { createInterface, type Interface } from 'node:readline'
import type { Terminal } from '../terminal.js'
import type { InputHistory } from './input-history.js'
import { Screen } from './screen.js'

const PROMPT = '> '

interface Waiting {
  readonly text: string
  /** It was typed while an answer was written, so its writer has not seen it in its place yet. */
  readonly isUnseen: boolean
}

export class TypedLines {
  readonly #terminal: Terminal
  readonly #screen: Screen
  readonly #lines: Interface
  readonly #waiting: Waiting[] = []
  #hasEnded = false
  #wake: () => void = () => {}
  #onInterrupt: (() => void) | null = null
  /** Ctrl-C on an empty line: a second one in a row ends the conversation. */
  #wasInterrupted = false

  /** @param signal ends the input. */
  constructor(terminal: Terminal, history: InputHistory, signal: AbortSignal) {
    this.#terminal = terminal
    this.#screen = new Screen(terminal)
    const { input, isInteractive } = terminal
    const editor = { output: this.#screen, terminal: true, prompt: PROMPT, history: history.newestFirst(), historySize: history.size, removeHistoryDuplicates: true }
    this.#lines = createInterface({ input, signal, ...(isInteractive ? editor : {}) })
    pasteWhereTheCursorIs(this.#lines)
    this.#lines.on('line', (text) => {
      this.#waiting.push({ text, isUnseen: this.#screen.isMuted })
      if (isInteractive) history.add(text)
      this.#wake()
    })
    this.#lines.on('close', () => {
      this.#hasEnded = true
      this.#wake()
    })
    this.#lines.on('SIGINT', () => this.#interrupt())
  }

  /** The next line without the space around it; null where there is none any more. */
  async next(): Promise<string | null> {
    if (this.#terminal.isInteractive && this.#waiting.length === 0 && !this.#hasEnded) this.#lines.prompt(true)
    while (this.#waiting.length === 0 && !this.#hasEnded) await new Promise<void>((resolve) => (this.#wake = resolve))
    const line = this.#waiting.shift()
    if (line === undefined) {
      if (this.#terminal.isInteractive) this.#terminal.out('\n')
      return null
    }
    this.#wasInterrupted = false
    if (line.isUnseen) this.#terminal.out(`${PROMPT}${line.text}\n`)
    return line.text.trim()
  }

  /** Runs `work` with the screen for itself; Ctrl-C calls `onInterrupt` in its place. */
  async during<T>(onInterrupt: () => void, work: () => Promise<T>): Promise<T> {
    this.#screen.isMuted = true
    this.#onInterrupt = onInterrupt
    try {
      return await work()
    } finally {
      this.#onInterrupt = null
      this.#screen.isMuted = false
    }
  }

  close(): void {
    this.#lines.close()
  }

  #interrupt(): void {
    if (this.#onInterrupt) return this.#onInterrupt()
    const wasEmpty = this.#lines.line === ''
    if (wasEmpty && this.#wasInterrupted) return this.#lines.close()
    this.#wasInterrupted = wasEmpty
    this.#lines.write(null, { ctrl: true, name: 'e' })
    this.#lines.write(null, { ctrl: true, name: 'u' })
    this.#terminal.out(wasEmpty ? '\n(Ctrl-C again, Ctrl-D or /quit ends the conversation)\n' : '^C\n')
    this.#lines.prompt()
  }
}

/** Node's editor appends characters that arrive together, as pasted ones do, to the line, unless this property of it is true. */
function pasteWhereTheCursorIs(lines: Interface): void {
  Object.defineProperty(lines, 'isCompletionEnabled', { get: () => true, set: () => {} })
}
