// A store's file in memory, which fails as it is told. It says what a crash leaves: the batches that were committed.

import type { BatchPart, Found, StoreFile } from '../../ts/directory/store-file.js'
import { StoreError, type StoreErrorCode } from '../../ts/directory/store-error.js'

const WORD = 4
const ABSENT = 0xffff_ffff

type Records = Map<string, Uint8Array>

export class FailingStoreFile implements StoreFile {
  /** The code that every call that writes is refused with; null: none is. */
  refusal: StoreErrorCode | null = null
  /** The code that reading is refused with. */
  unreadable: StoreErrorCode | null = null
  found: Found = { kind: 'nothing' }
  /** Calls that did something, in their order. */
  readonly calls: string[] = []
  readonly tables: string[] = []
  hasAside = false
  records: Records = new Map()
  #rewriting: Records | null = null
  /** Commits wait until it is called, if it is there. */
  #held: Array<() => void> | null = null

  openNow(): Found {
    if (this.unreadable) throw new StoreError(this.unreadable, 'it cannot be opened')
    return this.found
  }

  async open(): Promise<Found> {
    this.#refuse('open')
    return this.openNow()
  }

  async beginAnew(detail: string, keeps: boolean): Promise<Found> {
    this.#refuse('begin anew')
    this.calls.push(keeps ? 'set aside' : 'delete')
    this.hasAside ||= keeps
    this.unreadable = null
    this.records = new Map()
    return { kind: 'damaged', detail, ...(keeps ? { aside: 'store.damaged' } : {}) }
  }

  async removeAside(): Promise<boolean> {
    const was = this.hasAside
    this.hasAside = false
    if (was) this.calls.push('remove aside')
    return was
  }

  table(name: string): number {
    const known = this.tables.indexOf(name)
    return known < 0 ? this.tables.push(name) - 1 : known
  }

  page(table: number, after: Uint8Array | null): Uint8Array {
    if (this.unreadable) throw new StoreError(this.unreadable, 'it cannot be read')
    const own = [...this.records].filter(([name]) => name.startsWith(`${table} `))
    const records = own.map(([name, value]) => ({ key: Buffer.from(name.slice(name.indexOf(' ') + 1), 'latin1'), value }))
    const rest = records.filter(({ key }) => after === null || Buffer.compare(key, after) > 0)
    return Buffer.concat(rest.toSorted((a, b) => Buffer.compare(a.key, b.key)).map(({ key, value }) => packed(key, value)))
  }

  async commit(batch: Uint8Array, part: BatchPart): Promise<void> {
    const bytes = Buffer.from(batch)
    if (this.#held) await new Promise<void>((resolve) => this.#held?.push(resolve))
    if (this.refusal) this.#rewriting = null
    this.#refuse(part)
    this.calls.push(part)
    if (part === 'first') this.#rewriting = new Map()
    apply(bytes, this.#rewriting ?? this.records)
    if (part === 'last') [this.records, this.#rewriting] = [this.#rewriting ?? new Map<string, Uint8Array>(), null]
  }

  async close(): Promise<void> {
    this.calls.push('close')
  }

  /** Commits wait for the function that is returned. */
  hold(): () => void {
    const held: Array<() => void> = []
    this.#held = held
    return () => {
      this.#held = null
      for (const go of held) go()
    }
  }

  /** Keys of a table, as texts. */
  keysOf(table: string): string[] {
    const number = this.table(table)
    return [...this.records.keys()].filter((name) => name.startsWith(`${number} `)).map((name) => name.slice(name.indexOf(' ') + 1))
  }

  #refuse(call: string): void {
    if (!this.refusal) return
    this.calls.push(`${call} refused`)
    throw new StoreError(this.refusal, 'the test refuses it')
  }
}

function packed(key: Buffer, value: Uint8Array): Buffer {
  const head = Buffer.alloc(2 * WORD)
  head.writeUInt32LE(key.length)
  head.writeUInt32LE(value.length, WORD)
  return Buffer.concat([head, key, value])
}

function apply(batch: Buffer, records: Records): void {
  for (let at = 0; at < batch.length; ) {
    const [table, keyLength, valueLength] = [0, 1, 2].map((word) => batch.readUInt32LE(at + word * WORD)) as [number, number, number]
    const keyEnd = at + 3 * WORD + keyLength
    const name = `${table} ${batch.toString('latin1', at + 3 * WORD, keyEnd)}`
    at = valueLength === ABSENT ? keyEnd : keyEnd + valueLength
    if (valueLength === ABSENT) records.delete(name)
    else records.set(name, Uint8Array.from(batch.subarray(keyEnd, at)))
  }
}
