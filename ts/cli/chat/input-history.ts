// The lines that were typed before, for the arrow keys: a file of the user's own.

import { appendFileSync, chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

const MAX_LINES = 1000
/** A longer line, such as a pasted document, is not kept. */
const MAX_LINE_LENGTH = 4096

export class InputHistory {
  readonly size = MAX_LINES
  readonly #path: string | null
  #lines: string[]

  /**
   * @param path of the file; null: nothing is kept beyond this conversation. A file that cannot be read or written is done
   * without.
   */
  constructor(path: string | null) {
    this.#path = path
    const stored = path === null ? [] : readLines(path)
    this.#lines = stored.slice(-MAX_LINES)
    if (path !== null && stored.length > MAX_LINES) tried(() => replace(path, this.#lines))
  }

  newestFirst(): string[] {
    return this.#lines.toReversed()
  }

  add(line: string): void {
    if (line.trim() === '' || line.length > MAX_LINE_LENGTH || line === this.#lines.at(-1)) return
    this.#lines = [...this.#lines, line].slice(-MAX_LINES)
    const path = this.#path
    if (path === null) return
    tried(() => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      appendFileSync(path, `${line}\n`, { mode: 0o600 })
    })
  }
}

function readLines(path: string): string[] {
  let text = ''
  tried(() => {
    text = readFileSync(path, 'utf8')
    chmodSync(path, 0o600)
  })
  return text.split('\n').filter((line) => line !== '')
}

function replace(path: string, lines: readonly string[]): void {
  const beside = `${path}.${process.pid}`
  writeFileSync(beside, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 })
  renameSync(beside, path)
}

function tried(work: () => void): void {
  try {
    work()
  } catch {
    // The conversation goes on without the file.
  }
}
