// Faults that were handled where they were met. One that comes with every block must not fill the disk with its lines.

import type { Logger } from 'pino'
import type { Clock } from '../engine/clock.js'
import type { Fault } from '../protocol/fault.js'

/** Milliseconds between two lines of the same message and code. */
const LINE_INTERVAL_MS = 10_000
/** Kinds that are remembered; the one that had its line the longest ago is forgotten first. */
const MOST_KINDS = 256

interface LastLine {
  readonly at: number
  leftOut: number
}

/** Writes a line at level `warn` for a fault, and for its like the number of lines since that were left out. */
export class FaultLog {
  readonly #log: Pick<Logger, 'warn'>
  readonly #clock: Pick<Clock, 'now'>
  readonly #lines = new Map<string, LastLine>()

  constructor(log: Pick<Logger, 'warn'>, clock: Pick<Clock, 'now'>) {
    this.#log = log
    this.#clock = clock
  }

  add({ message, code, context }: Fault): void {
    const now = this.#clock.now()
    const kind = `${code} ${message}`
    const last = this.#lines.get(kind)
    if (last && now - last.at < LINE_INTERVAL_MS) {
      last.leftOut++
      return
    }
    this.#remember(kind, now)
    const leftOut = last && last.leftOut > 0 ? { left_out: last.leftOut } : {}
    this.#log.warn({ ...context, code, ...leftOut }, message)
  }

  #remember(kind: string, at: number): void {
    this.#lines.delete(kind)
    this.#lines.set(kind, { at, leftOut: 0 })
    for (const oldest of this.#lines.keys()) {
      if (this.#lines.size <= MOST_KINDS) return
      this.#lines.delete(oldest)
    }
  }
}
