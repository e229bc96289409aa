// Where lines go. A sink never throws from `write` and never holds up the event loop: the thread pool writes.

import { close, fstat, fstatSync, open, openSync, stat, write, writeSync, type Stats } from 'node:fs'

export type Written = (error: NodeJS.ErrnoException | null, bytes: number) => void

/** One write at a time. */
export interface LineSink {
  /**
   * `written` gets the number of bytes that were written: all, some of them, or none with an error. EAGAIN: a pipe or socket has
   * no room, because its reader is behind.
   */
  write(bytes: Buffer, written: Written): void
  /** Writes at once and waits for it; for the last words of a process. May throw. */
  writeNow(bytes: Buffer): void
  /** Nothing is written any more. */
  close(): void
}

const STANDARD_ERROR = 2
const NEWLINE = 10

/**
 * Standard error of this process, whatever it is. Node makes a pipe or socket non-blocking when its stream is first used: a
 * write without a reader then fails at once, in the place of holding a thread.
 */
export function standardErrorSink(): LineSink {
  process.stderr.on('error', () => {})
  return new FileSink(STANDARD_ERROR)
}

/** An open file, which stays the caller's. */
class FileSink implements LineSink {
  readonly #fd: number

  constructor(fd: number) {
    this.#fd = fd
  }

  write(bytes: Buffer, written: Written): void {
    write(this.#fd, bytes, 0, bytes.length, null, (error, count) => written(error, count ?? 0))
  }

  writeNow(bytes: Buffer): void {
    writeSync(this.#fd, bytes)
  }

  close(): void {}
}

/**
 * A file that lines are appended to. If the file at the path is another one, because it was rotated, removed or its disk came
 * back, that one is written from then on.
 */
export class AppendedFile implements LineSink {
  readonly #path: string
  #fd: number
  #stats: Stats
  #hasFailed = false
  #isMidLine = false

  /** @throws the error of the system if the file cannot be opened. */
  constructor(path: string) {
    this.#path = path
    this.#fd = openSync(path, 'a', 0o600)
    this.#stats = fstatSync(this.#fd)
  }

  write(bytes: Buffer, written: Written): void {
    stat(this.#path, (error, found) => {
      if (!error && !this.#isAnother(found)) return this.#append(bytes, 0, written)
      this.#reopen((failure, isNew) => {
        if (failure) return written(failure, 0)
        // A line whose beginning lies in the earlier file would be no line in this one.
        this.#append(bytes, isNew && this.#isMidLine ? bytes.indexOf(NEWLINE) + 1 : 0, written)
      })
    })
  }

  writeNow(bytes: Buffer): void {
    writeSync(this.#fd, bytes)
  }

  close(): void {
    close(this.#fd, () => {})
  }

  /** A regular file that failed is opened anew as well: its disk may be mounted again. */
  #isAnother({ ino, dev }: Stats): boolean {
    return ino !== this.#stats.ino || dev !== this.#stats.dev || (this.#hasFailed && this.#stats.isFile())
  }

  /** `isNew`: another file than before. */
  #reopen(opened: (error: NodeJS.ErrnoException | null, isNew: boolean) => void): void {
    open(this.#path, 'a', 0o600, (error, fd) => {
      if (error) return opened(error, false)
      fstat(fd, (failure, stats) => {
        close(failure ? fd : this.#fd, () => {})
        if (failure) return opened(failure, false)
        const isNew = stats.ino !== this.#stats.ino || stats.dev !== this.#stats.dev
        this.#fd = fd
        this.#stats = stats
        opened(null, isNew)
      })
    })
  }

  #append(bytes: Buffer, from: number, written: Written): void {
    write(this.#fd, bytes, from, bytes.length - from, null, (error, count = 0) => {
      this.#hasFailed = error !== null
      if (count > 0) this.#isMidLine = bytes[from + count - 1] !== NEWLINE
      written(error, error ? 0 : from + count)
    })
  }
}
