// The work on the store's file, one thing after the other: opening it, beginning it anew, writing all records or
// those that changed. A disk that refuses is tried again after a pause that grows.
//
// `#isWhole`: the file and the pending writes together are all that memory knows. Where they are not, because the file was
// damaged or more writes waited than the bound allows, nothing is kept waiting: all records are written when the disk takes
// them.

import type { Clock } from '../engine/clock.js'
import type { Fault } from '../protocol/fault.js'
import type { ConditionState, ConditionWatch } from './condition.js'
import { BatchWriter, type StoredRecord } from './packed-records.js'
import { PendingWrites, type Writes } from './pending-writes.js'
import { StoreError, type StoreErrorCode } from './store-error.js'
import type { Found, StoreFile } from './store-file.js'

/** Bytes of writes that wait for the disk. */
const MOST_PENDING_BYTES = 64 * 1024 * 1024
/** Bytes of a piece of a rewrite: between two pieces other work goes on. */
const PIECE_BYTES = 1024 * 1024
/** Milliseconds until a disk that refused is tried again: the first time, and at most. */
const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 60_000

const STATES: Readonly<Partial<Record<StoreErrorCode, ConditionState>>> = { store_full: 'full', store_read_only: 'read_only' }

export interface StoreWriterParts {
  readonly clock: Clock
  readonly onFault: (fault: Fault) => void
  readonly watch: ConditionWatch
}

type Waiter = (error: StoreError | null) => void
/** Records by the number of their table. */
type NumberedSources = ReadonlyMap<number, () => Iterable<StoredRecord>>

export class StoreWriter {
  readonly #file: StoreFile
  readonly #parts: StoreWriterParts
  readonly #batch = new BatchWriter()
  readonly #pending = new PendingWrites()
  #sources: NumberedSources | null = null
  #isOpen = false
  /** Why the file has to be begun anew; null: it need not be. */
  #damage: string | null = null
  #isWhole = true
  /** All records are being written: changes to those that are written already wait in `#pending`. */
  #isRewriting = false
  #isLost = false
  /** The file holds records that were committed: it is worth keeping when it is damaged. */
  #holdsRecords = false
  /** A store was set aside. It goes where the disk is full. */
  #hasAside = false
  #isRunning = false
  #isScheduled = false
  #isClosed = false
  #pauseMs = FIRST_PAUSE_MS
  #cancelPause: (() => void) | null = null
  #refusal: StoreError | null = null
  /** Of writes in the batch that is being committed, and of those behind it. */
  #committing: Waiter[] = []
  #waiting: Waiter[] = []

  /** Opens the file, and waits for the disk. */
  constructor(file: StoreFile, parts: StoreWriterParts) {
    this.#file = file
    this.#parts = parts
    try {
      this.#opened(file.openNow())
    } catch (thrown) {
      this.#isLost = true
      this.#isWhole = false
      this.#failed(storeErrorOf(thrown))
    }
  }

  get isLost(): boolean {
    return this.#isLost
  }

  /** Packed records; none where the file cannot be read, which is then begun anew. */
  page(table: number, after: Uint8Array | null): Uint8Array {
    if (!this.#isOpen || this.#isClosed) return new Uint8Array()
    try {
      return this.#file.page(table, after)
    } catch (thrown) {
      this.#isLost = true
      this.#isWhole = false
      this.#damage ??= storeErrorOf(thrown).message
      this.#schedule()
      return new Uint8Array()
    }
  }

  /** null: the record is removed. */
  write(table: number, key: Uint8Array, value: Uint8Array | null): void {
    if (this.#isClosed || this.#isLeftToRewrite) return
    this.#pending.add(table, key, value)
    if (this.#pending.bytes > MOST_PENDING_BYTES && this.#sources) {
      this.#isWhole = false
      this.#isRewriting = false
      this.#pending.clear()
    }
    this.#schedule()
  }

  rewriteFrom(sources: NumberedSources): void {
    this.#sources = sources
    this.#schedule()
  }

  flushed(): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    if (!this.#hasWork && this.#committing.length === 0 && !this.#isRunning) return Promise.resolve()
    if (this.#refusal) return Promise.reject(this.#refusal)
    // Before it is known what memory has, nothing is written to a damaged file.
    if (!this.#canWork) return Promise.reject(new StoreError('store_damaged', this.#damage ?? 'the store is not open'))
    return new Promise((resolve, reject) => {
      this.#waiting.push(error => (error ? reject(error) : resolve()))
      this.#schedule()
    })
  }

  /** Tries a disk that refuses once more. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#endPause()
    this.#refusal = null
    // What the disk does not take was said when it refused.
    await this.flushed().catch(() => {})
    this.#endPause()
    this.#isClosed = true
    await this.#file.close().catch(() => {})
  }

  /** Memory has the record, and the rewrite that is to come will write it. */
  get #isLeftToRewrite(): boolean {
    return !this.#isWhole && !this.#isRewriting && this.#sources !== null
  }

  get #hasWork(): boolean {
    const canRewrite = this.#sources !== null && (!this.#isWhole || this.#damage !== null)
    return !this.#pending.isEmpty || this.#waiting.length > 0 || canRewrite
  }

  /** Once what runs now has ended: writes of one turn are one batch. */
  #schedule(): void {
    if (this.#isScheduled || this.#isRunning || this.#cancelPause || this.#isClosed) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#begin()
    })
  }

  /** From within a run, which is about to end. */
  #scheduleAgain(): void {
    this.#isRunning = false
    this.#schedule()
  }

  /** A listener of the condition that throws ends no wait. */
  #begin(): void {
    this.#run().catch((thrown: unknown) => this.#tell(storeErrorOf(thrown)))
  }

  async #run(): Promise<void> {
    if (this.#isRunning || this.#cancelPause || this.#isClosed) return
    this.#isRunning = true
    try {
      while (this.#hasWork && this.#canWork) await this.#step()
      if (!this.#hasWork) this.#working()
    } catch (thrown) {
      this.#failed(storeErrorOf(thrown))
    } finally {
      this.#isRunning = false
    }
    if (this.#hasWork && this.#canWork) this.#schedule()
  }

  /** A file that is damaged is begun anew when memory has all that it can have. */
  get #canWork(): boolean {
    return !this.#isClosed && (this.#sources !== null || (this.#isOpen && this.#damage === null))
  }

  async #step(): Promise<void> {
    if (this.#damage !== null) return this.#beginAnew(this.#damage)
    if (!this.#isOpen) return this.#reopened(await this.#file.open())
    if (!this.#isWhole && this.#sources) return this.#rewrite(this.#sources)
    await this.#commit()
  }

  #opened(found: Found): void {
    this.#isOpen = true
    this.#damage = null
    this.#holdsRecords = found.kind === 'whole' || found.kind === 'partial'
    if (found.kind !== 'whole' && found.kind !== 'nothing') {
      this.#isLost = true
      this.#isWhole = false
    }
    if (found.aside !== undefined) this.#hasAside = true
    const fault = faultOf(found)
    if (fault) this.#parts.onFault(fault)
  }

  #reopened(found: Found): void {
    // Files that were there are gone.
    if (found.kind === 'nothing') this.#isWhole = false
    this.#opened(found)
  }

  async #beginAnew(damage: string): Promise<void> {
    this.#isOpen = false
    this.#isWhole = false
    this.#opened(await this.#file.beginAnew(damage, this.#holdsRecords))
  }

  async #commit(): Promise<void> {
    const writes = this.#pending.take()
    this.#committing = this.#waiting
    this.#waiting = []
    if (writes.size > 0) await this.#commitWrites(writes)
    this.#holdsRecords ||= writes.size > 0
    this.#tell(null)
  }

  async #commitWrites(writes: Writes): Promise<void> {
    for (const { table, key, value } of writes.values()) this.#batch.add(table, key, value)
    try {
      await this.#file.commit(this.#batch.take(), 'change')
    } catch (thrown) {
      if (!this.#isLeftToRewrite) this.#pending.putBack(writes)
      throw thrown
    }
  }

  /** All that memory has takes the place of the records that are there, at once. */
  async #rewrite(sources: NumberedSources): Promise<void> {
    this.#pending.clear()
    this.#isRewriting = true
    this.#committing.push(...this.#waiting)
    this.#waiting = []
    try {
      let part: 'first' | 'next' = 'first'
      for (const [table, records] of sources) {
        for (const { key, value } of records()) {
          this.#batch.add(table, key, value)
          if (this.#batch.length < PIECE_BYTES) continue
          await this.#file.commit(this.#batch.take(), part)
          part = 'next'
        }
      }
      if (part === 'first') await this.#file.commit(new Uint8Array(), part)
      await this.#file.commit(this.#batch.take(), 'last')
      // Not where more changes came meanwhile than may wait.
      this.#isWhole = this.#isRewriting
      this.#holdsRecords = true
    } finally {
      this.#batch.take()
      this.#isRewriting = false
      if (!this.#isWhole) this.#pending.clear()
    }
    this.#waiting.unshift(...this.#committing.splice(0))
  }

  #tell(error: StoreError | null): void {
    const told = error ? [...this.#committing, ...this.#waiting] : this.#committing
    this.#committing = []
    if (error) this.#waiting = []
    for (const tell of told) tell(error)
  }

  #working(): void {
    this.#tell(null)
    this.#refusal = null
    this.#pauseMs = FIRST_PAUSE_MS
    this.#parts.watch.set('ok', null)
  }

  /** A damaged file is begun anew at once, unless it was begun a moment ago. Everything else is tried again later. */
  #failed(error: StoreError): void {
    const isNews = this.#isOpen && this.#damage === null && (error.code === 'store_damaged' || error.code === 'store_io')
    if (isNews) this.#damage = error.message
    if (isNews && this.#holdsRecords && this.#sources) return this.#scheduleAgain()
    // A disk that was read-only may be writable again, and the file is not.
    if (error.code === 'store_read_only') this.#isOpen = false
    this.#refusal = error
    this.#tell(error)
    this.#parts.watch.set(STATES[error.code] ?? 'failing', error.message)
    if (error.code === 'store_full' && this.#hasAside) return this.#makeRoom()
    this.#pause()
  }

  /** The damaged store that was set aside is worth less than one that goes on. */
  #makeRoom(): void {
    this.#hasAside = false
    const again = (): void => this.#pause(0)
    this.#file.removeAside().then(again, again)
  }

  #pause(ms = this.#pauseMs): void {
    if (this.#isClosed || this.#cancelPause) return
    this.#cancelPause = this.#parts.clock.after(ms, () => this.#tryAgain(), { background: true })
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * this.#pauseMs)
  }

  #tryAgain(): void {
    this.#cancelPause = null
    this.#begin()
  }

  #endPause(): void {
    this.#cancelPause?.()
    this.#cancelPause = null
  }
}

function storeErrorOf(thrown: unknown): StoreError {
  if (thrown instanceof StoreError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new StoreError('store_invalid', message, { cause: thrown })
}

function faultOf({ kind, detail, aside }: Found): Fault | null {
  if (kind === 'other_format') {
    return { message: 'the store is of another format; its records are dropped', code: 'store_other_format', context: {} }
  }
  if (kind !== 'damaged') return null
  const where = aside === undefined ? {} : { set_aside: aside }
  return { message: 'the store was damaged; a new one is begun', code: 'store_damaged', context: { detail: detail ?? '', ...where } }
}
