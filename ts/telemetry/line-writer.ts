// Lines to a file, pipe or socket that may be full, slow or gone. Writing never waits and never throws: lines stand in a
// bounded queue, those that find it full are dropped and counted, and a write that failed is tried again.

import type { Clock } from '../engine/clock.js'
import { diskStateOf, type DiskState } from '../protocol/disk.js'
import type { LineSink } from './line-sinks.js'

/** Bytes of one write. */
const MOST_WRITTEN = 64 * 1024
/** Milliseconds from a write that failed to the next try. */
const RETRY_MS = 1000
/** The same where the reader is behind, at first; twice as long each time, up to `RETRY_MS`. */
const READER_MS = 10
/** Milliseconds after which a write that has not ended is slow. */
const SLOW_MS = 10_000

export interface LineWriterOptions {
  /** Bytes of lines that may wait. */
  readonly mostBytes: number
  readonly clock: Clock
}

type StateListener = (state: DiskState, reason: string | null) => void

export class LineWriter {
  readonly #sink: LineSink
  readonly #mostBytes: number
  readonly #clock: Clock
  readonly #lines: string[] = []
  /** Of lines in the queue and in the write under way. */
  #waitingBytes = 0
  /** The part of the write that is not done; null: none is begun. */
  #rest: Buffer | null = null
  #isWriting = false
  #cancelTimer: (() => void) | null = null
  #lost = 0
  #state: DiskState = 'ok'
  #reason: string | null = null
  #onState: StateListener = () => {}
  /** Since when the reader has been behind. */
  #behindSince: number | null = null
  #retryMs = READER_MS
  #isClosed = false
  /** Those that wait for the end of the queue. */
  #settled: Array<() => void> = []

  constructor(sink: LineSink, { mostBytes, clock }: LineWriterOptions) {
    this.#sink = sink
    this.#mostBytes = mostBytes
    this.#clock = clock
  }

  /** Lines that were dropped. */
  get lost(): number {
    return this.#lost
  }

  /** Tells `listener` each change from now on, and at once where all is not well. */
  listen(listener: StateListener): void {
    this.#onState = listener
    if (this.#state !== 'ok') listener(this.#state, this.#reason)
  }

  /** `line` ends with a newline. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#isClosed || this.#waitingBytes + bytes > this.#mostBytes) {
      this.#lost++
      return
    }
    this.#lines.push(line)
    this.#waitingBytes += bytes
    if (!this.#isWriting && this.#cancelTimer === null) this.#next()
  }

  /** Ends when every line is written, as soon as a write fails, or after `mostMs` milliseconds. */
  settled(mostMs: number): Promise<void> {
    if (this.#waitingBytes === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = this.#clock.after(mostMs, resolve)
      this.#settled.push(() => {
        cancel()
        resolve()
      })
      // One more try, if the last one failed.
      if (!this.#isWriting) this.#next()
    })
  }

  /** As `settled`; then nothing is written any more, and the lines that wait are lost. */
  async close(mostMs: number): Promise<void> {
    await this.settled(mostMs)
    this.#isClosed = true
    this.#stopTimer()
    this.#lost += this.#lines.length + (this.#rest?.toString().split('\n').length ?? 1) - 1
    this.#lines.length = 0
    // A write that has not ended keeps its file.
    if (!this.#isWriting) this.#sink.close()
  }

  /** The last words of a process that ends: what waits is written at once, as far as that is possible. */
  writeNow(): void {
    const bytes = Buffer.concat([...(this.#isWriting || this.#rest === null ? [] : [this.#rest]), Buffer.from(this.#lines.join(''))])
    this.#isClosed = true
    this.#lines.length = 0
    try {
      if (bytes.length > 0) this.#sink.writeNow(bytes)
    } catch {
      // There is no place left to say it.
    }
  }

  #next(): void {
    this.#stopTimer()
    this.#rest ??= this.#takeLines()
    if (this.#rest === null) return this.#settle()
    this.#isWriting = true
    this.#cancelTimer = this.#clock.after(SLOW_MS, () => this.#enter('slow', `a write has not ended for ${SLOW_MS / 1000} s`), { background: true })
    this.#sink.write(this.#rest, (error, bytes) => this.#wrote(error, bytes))
  }

  #wrote(error: NodeJS.ErrnoException | null, bytes: number): void {
    this.#isWriting = false
    this.#stopTimer()
    const rest = this.#rest?.subarray(bytes)
    this.#rest = rest === undefined || rest.length === 0 ? null : rest
    this.#waitingBytes -= bytes
    if (this.#isClosed) return
    if (error?.code === 'EAGAIN') return this.#readerIsBehind()
    if (error) return this.#failed(error)
    this.#behindSince = null
    this.#retryMs = READER_MS
    // A disk with room for a part of it is full all the same.
    if (this.#rest === null) this.#enter('ok', null)
    this.#next()
  }

  #failed({ code, message }: NodeJS.ErrnoException): void {
    this.#enter(diskStateOf(code), message)
    this.#retryIn(RETRY_MS)
    this.#settle()
  }

  #readerIsBehind(): void {
    const now = this.#clock.now()
    this.#behindSince ??= now
    if (now - this.#behindSince >= SLOW_MS) this.#enter('slow', `the reader has taken nothing for ${SLOW_MS / 1000} s`)
    this.#retryIn(this.#retryMs)
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS)
  }

  #retryIn(ms: number): void {
    this.#cancelTimer = this.#clock.after(ms, () => this.#next(), { background: true })
  }

  #takeLines(): Buffer | null {
    let count = 0
    let length = 0
    for (const line of this.#lines) {
      if (count > 0 && length + line.length > MOST_WRITTEN) break
      length += line.length
      count++
    }
    return count === 0 ? null : Buffer.from(this.#lines.splice(0, count).join(''))
  }

  #enter(state: DiskState, reason: string | null): void {
    if (state === this.#state) return
    this.#state = state
    this.#reason = reason
    this.#onState(state, reason)
  }

  #settle(): void {
    for (const settled of this.#settled.splice(0)) settled()
  }

  #stopTimer(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
  }
}
