// `--request-log`: JSON lines appended to a file.

import { createWriteStream, openSync, type WriteStream } from 'node:fs'
import type { Logger } from 'pino'
import { ExitError } from '../protocol/errors.js'
import type { RequestLogRecord } from '../scheduler/core/options.js'

/** Lines that may wait for a slow disk; more are dropped and counted, so that the log never holds up answers. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024

export class RequestLogFile {
  readonly #stream: WriteStream
  readonly #log: Logger
  #dropped = 0

  /** @throws ExitError with exit code 2 if the file cannot be appended to. */
  constructor(path: string, log: Logger) {
    this.#log = log
    this.#stream = createWriteStream(path, { fd: openForAppending(path) })
    this.#stream.on('error', (error: NodeJS.ErrnoException) => log.error({ code: error.code }, 'the request log cannot be written'))
  }

  add(record: RequestLogRecord): void {
    if (this.#stream.writableLength > MAX_WAITING_BYTES || this.#stream.destroyed) {
      this.#dropped++
      return
    }
    this.#stream.write(`${JSON.stringify(record)}\n`)
  }

  /** Everything added is in the file. */
  async close(): Promise<void> {
    if (this.#dropped > 0) this.#log.warn({ lines: this.#dropped }, 'lines of the request log were dropped')
    if (this.#stream.destroyed) return
    await new Promise<void>((resolve) => this.#stream.end(resolve))
  }
}

function openForAppending(path: string): number {
  try {
    return openSync(path, 'a', 0o600)
  } catch (cause) {
    throw new ExitError(2, 'invalid_option', `--request-log: ${path} cannot be written: ${String(cause)}`, { path }, { cause })
  }
}
