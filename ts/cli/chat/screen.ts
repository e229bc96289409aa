// The line editor draws on this: standard output, which an answer has for itself while it is written.

import { Writable } from 'node:stream'
import type { Terminal } from '../terminal.js'

export class Screen extends Writable {
  /** Keys that are typed meanwhile are kept, and not shown. */
  isMuted = false
  readonly #terminal: Pick<Terminal, 'out' | 'columns'>

  constructor(terminal: Pick<Terminal, 'out' | 'columns'>) {
    super({ decodeStrings: false })
    this.#terminal = terminal
  }

  /** The line editor asks for it. */
  get columns(): number {
    return this.#terminal.columns()
  }

  override _write(chunk: unknown, _: BufferEncoding, done: () => void): void {
    if (!this.isMuted) this.#terminal.out(String(chunk))
    done()
  }
}
