// `--request-log`: JSON lines appended to a file.

import type { Clock } from '../engine/clock.js'
import { ExitError } from '../protocol/errors.js'
import type { DiskState } from '../protocol/disk.js'
import type { RequestLogRecord } from '../scheduler/core/options.js'
import { AppendedFile } from './line-sinks.js'
import { LineWriter } from './line-writer.js'

/** Lines that may wait for a full or slow disk; more are dropped and counted, so that the log never holds up answers. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** Milliseconds that the last lines have at the end of the server. */
const LAST_LINES_MS = 5000

export class RequestLogFile {
  readonly #lines: LineWriter
  #closed: Promise<void> | null = null

  /**
   * @param onState Told of each change of the file's disk.
   * @throws ExitError with exit code 2 if the file cannot be appended to.
   */
  constructor(path: string, clock: Clock, onState: (state: DiskState, reason: string | null) => void) {
    this.#lines = new LineWriter(openForAppending(path), { mostBytes: MAX_WAITING_BYTES, clock })
    this.#lines.listen(onState)
  }

  /** Lines that were dropped. */
  get lost(): number {
    return this.#lines.lost
  }

  add(record: RequestLogRecord): void {
    this.#lines.write(`${JSON.stringify(record)}\n`)
  }

  /** Everything added is in the file, or lost. May be called twice. */
  close(): Promise<void> {
    this.#closed ??= this.#lines.close(LAST_LINES_MS)
    return this.#closed
  }
}

function openForAppending(path: string): AppendedFile {
  try {
    return new AppendedFile(path)
  } catch (cause) {
    throw new ExitError(2, 'invalid_option', `--request-log: ${path} cannot be written: ${String(cause)}`, { path }, { cause })
  }
}
