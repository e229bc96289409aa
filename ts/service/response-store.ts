// Kept responses in the data directory: of each one a record of its texts, which is written once, and a small one of its
// standing, which is written with every use. Keys are numbers, so that no file has an id; the values are sealed.

import type { Table } from '../directory/database.js'
import type { StoredRecord } from '../directory/packed-records.js'
import type { KeptResponse } from './types.js'

/** What changes about a stored response. */
export interface Standing {
  /** Milliseconds since the Unix epoch. */
  readonly lastUse: number
  /** Found by its id; false: it is there for those that go on from it. */
  readonly isNamed: boolean
}

export interface StoredResponse extends Standing {
  readonly number: number
  readonly response: KeptResponse
  /** The number of the response that this one goes on from; smaller than its own. */
  readonly before: number | null
}

/** The first byte of a record, by kind: another layout is another byte. */
const TEXTS = 't'.charCodeAt(0)
const STANDING = 's'.charCodeAt(0)
const KEY_BYTES = 9
/** Last use (f64), and whether it is named. */
const STANDING_BYTES = 9
/** Bytes of the head and of the input, u32 each. */
const LENGTHS_BYTES = 8

/** What the texts of a record stand behind, as JSON. */
interface Head extends Omit<KeptResponse, 'input' | 'body'> {
  readonly before: number | null
}

export class ResponseStore {
  readonly #table: Table
  #next = 1

  constructor(table: Table) {
    this.#table = table
  }

  /**
   * The stored responses, by number. A response that cannot be read is removed, and with it each one that goes on from it: its
   * thread is not whole.
   */
  restore(): StoredResponse[] {
    const texts = new Map<number, Uint8Array>()
    const standings = new Map<number, Uint8Array>()
    for (const { key, value } of this.#table.entries()) {
      const number = numberOf(key)
      if (number === null) this.#table.remove(key)
      else (key[0] === TEXTS ? texts : standings).set(number, value)
    }
    const whole = new Map<number, StoredResponse>()
    const numbers = [...new Set([...texts.keys(), ...standings.keys()])].sort((a, b) => a - b)
    for (const number of numbers) {
      const stored = decode(number, texts.get(number), standings.get(number))
      if (stored !== null && (stored.before === null || whole.has(stored.before))) whole.set(number, stored)
      else this.remove(number)
    }
    this.#next = (numbers.at(-1) ?? 0) + 1
    return [...whole.values()]
  }

  /** Removes everything. */
  clear(): void {
    for (const { key } of this.#table.entries()) this.#table.remove(key)
  }

  /** Answers the number of its record. */
  add(response: KeptResponse, before: number | null, standing: Standing): number {
    const number = this.#next++
    for (const { key, value } of this.records({ number, response, before, lastUse: standing.lastUse, isNamed: standing.isNamed })) this.#table.put(key, value)
    return number
  }

  stand(number: number, standing: Standing): void {
    this.#table.put(recordKey(STANDING, number), encodeStanding(standing))
  }

  /** Those of one response. */
  *records({ number, response, before, lastUse, isNamed }: StoredResponse): Iterable<StoredRecord> {
    yield { key: recordKey(TEXTS, number), value: encodeTexts(response, before) }
    yield { key: recordKey(STANDING, number), value: encodeStanding({ lastUse, isNamed }) }
  }

  remove(number: number): void {
    for (const kind of [TEXTS, STANDING]) this.#table.remove(recordKey(kind, number))
  }
}

function recordKey(kind: number, number: number): Buffer {
  const key = Buffer.alloc(KEY_BYTES)
  key.writeUInt8(kind)
  key.writeBigUInt64BE(BigInt(number), 1)
  return key
}

/** null: not a key of this table. */
function numberOf(key: Uint8Array): number | null {
  if (key.length !== KEY_BYTES || (key[0] !== TEXTS && key[0] !== STANDING)) return null
  const number = Buffer.from(key).readBigUInt64BE(1)
  return number > 0n && number < BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : null
}

function encodeStanding({ lastUse, isNamed }: Standing): Buffer {
  const value = Buffer.alloc(STANDING_BYTES)
  value.writeDoubleLE(lastUse)
  value.writeUInt8(isNamed ? 1 : 0, STANDING_BYTES - 1)
  return value
}

/** Bytes of the head and of the input, the head, the input, the body. */
function encodeTexts({ input, body, ...rest }: KeptResponse, before: number | null): Buffer {
  const head: Head = { ...rest, before }
  const [headBytes, inputBytes, bodyBytes] = [JSON.stringify(head), input, body].map((text) => Buffer.from(text, 'utf8')) as [Buffer, Buffer, Buffer]
  const lengths = Buffer.alloc(LENGTHS_BYTES)
  lengths.writeUInt32LE(headBytes.length)
  lengths.writeUInt32LE(inputBytes.length, 4)
  return Buffer.concat([lengths, headBytes, inputBytes, bodyBytes])
}

/** null: one of the records is missing, damaged or of another layout. */
function decode(number: number, texts: Uint8Array | undefined, standing: Uint8Array | undefined): StoredResponse | null {
  if (texts === undefined || texts.length < LENGTHS_BYTES || standing?.length !== STANDING_BYTES) return null
  const bytes = Buffer.from(texts.buffer, texts.byteOffset, texts.byteLength)
  const headEnd = LENGTHS_BYTES + bytes.readUInt32LE(0)
  const inputEnd = headEnd + bytes.readUInt32LE(4)
  const head = inputEnd <= bytes.length ? decodeHead(bytes.toString('utf8', LENGTHS_BYTES, headEnd)) : null
  if (head === null || (head.before !== null && head.before >= number)) return null
  const { before, ...rest } = head
  const response = { ...rest, input: bytes.toString('utf8', headEnd, inputEnd), body: bytes.toString('utf8', inputEnd) }
  const view = Buffer.from(standing)
  return { number, response, before, lastUse: view.readDoubleLE(), isNamed: view[STANDING_BYTES - 1] === 1 }
}

function decodeHead(text: string): Head | null {
  try {
    const head = JSON.parse(text) as Head
    const { tenant, id, conversation, items, before } = head
    const areTexts = [tenant, id, conversation].every((value) => typeof value === 'string')
    return areTexts && Array.isArray(items) && (before === null || Number.isSafeInteger(before)) ? { tenant, id, conversation, items, before } : null
  } catch {
    return null
  }
}
