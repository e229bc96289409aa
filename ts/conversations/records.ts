// Token records of answers: the ids an answer was generated with, found by the hash of the chain it ends.

import type { ChainHash } from './chain.js'
import type { StoredRecord, Table } from './table.js'

export interface TokenRecord {
  /** Token ids that lie wholly inside the answer, markers of reasoning and of calls included, and the UTF-8 bytes they cover. */
  readonly tokens: Uint32Array
  readonly bytes: number
  /** Leading tokens that are reasoning, with its markers. */
  readonly reasoning: number
  /** Nothing of the answer lies behind the tokens. */
  readonly whole: boolean
}

export interface AnswerRecord extends TokenRecord {
  readonly conversation: string
}

/** What a record costs besides its ids: key, map entry, conversation id. */
const OVERHEAD_BYTES = 256

/**
 * Least recently used records go first, when `maxBytes` is reached; after a restart, those that were made first. Losing one
 * costs speed, never correctness.
 */
export class AnswerRecords {
  readonly #records = new Map<ChainHash, AnswerRecord>()
  readonly #table: Table | null
  readonly #maxBytes: number
  #bytes = 0
  /** Grows from record to record. */
  #made = 0

  constructor(table: Table | null, maxBytes: number) {
    this.#table = table
    this.#maxBytes = maxBytes
    const stored: Array<readonly [ChainHash, Stored]> = []
    for (const { key, value } of table?.entries() ?? []) {
      const found = decode(value)
      if (found) stored.push([Buffer.from(key).toString('latin1'), found])
      else table?.remove(key)
    }
    stored.sort(([, a], [, b]) => a.made - b.made)
    for (const [hash, { record }] of stored) this.#insert(hash, record)
    this.#made = stored.at(-1)?.[1].made ?? 0
    this.#trim()
  }

  get size(): number {
    return this.#records.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** All that the table holds, in the order of their last use. */
  *stored(): Iterable<StoredRecord> {
    for (const [hash, record] of [...this.#records]) yield { key: Buffer.from(hash, 'latin1'), value: encode(record, ++this.#made) }
  }

  /** Finds a record, and counts that as use. */
  get(hash: ChainHash): AnswerRecord | undefined {
    const record = this.#records.get(hash)
    if (record) {
      this.#records.delete(hash)
      this.#records.set(hash, record)
    }
    return record
  }

  put(hash: ChainHash, record: AnswerRecord): void {
    this.#drop(hash)
    this.#insert(hash, record)
    this.#table?.put(Buffer.from(hash, 'latin1'), encode(record, ++this.#made))
    this.#trim()
  }

  /** Forgets every answer of a conversation; answers how many. */
  eraseConversation(conversation: string): number {
    let erased = 0
    for (const [hash, record] of this.#records) {
      if (record.conversation !== conversation) continue
      this.#forget(hash)
      erased++
    }
    return erased
  }

  #trim(): void {
    for (const hash of this.#records.keys()) {
      if (this.#bytes <= this.#maxBytes) return
      this.#forget(hash)
    }
  }

  #forget(hash: ChainHash): void {
    this.#drop(hash)
    this.#table?.remove(Buffer.from(hash, 'latin1'))
  }

  #insert(hash: ChainHash, record: AnswerRecord): void {
    this.#records.set(hash, record)
    this.#bytes += costOf(record)
  }

  #drop(hash: ChainHash): void {
    const record = this.#records.get(hash)
    if (!record) return
    this.#records.delete(hash)
    this.#bytes -= costOf(record)
  }
}

function costOf(record: AnswerRecord): number {
  return OVERHEAD_BYTES + 4 * record.tokens.length
}

interface Stored {
  readonly record: AnswerRecord
  readonly made: number
}

/** The first word of a record: another layout is dropped. */
const LAYOUT = 0xffff_0003
const HEAD_BYTES = 28

/** Layout, bytes, reasoning, whole, count (u32 each), made (f64), ids, then the conversation's key in UTF-8. */
function encode({ tokens, bytes, reasoning, whole, conversation }: AnswerRecord, made: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES + 4 * tokens.length)
  const words = [LAYOUT, bytes, reasoning, whole ? 1 : 0, tokens.length]
  words.forEach((word, i) => head.writeUInt32LE(word, 4 * i))
  head.writeDoubleLE(made, 20)
  tokens.forEach((token, i) => head.writeUInt32LE(token, HEAD_BYTES + 4 * i))
  return Buffer.concat([head, Buffer.from(conversation, 'utf8')])
}

/** null: not a record of this layout. */
function decode(value: Uint8Array): Stored | null {
  const buffer = Buffer.from(value)
  if (buffer.length < HEAD_BYTES || buffer.readUInt32LE(0) !== LAYOUT) return null
  const [bytes = 0, reasoning = 0, whole = 0, count = 0] = [4, 8, 12, 16].map(at => buffer.readUInt32LE(at))
  const end = HEAD_BYTES + 4 * count
  if (buffer.length < end || reasoning > count) return null
  const tokens = Uint32Array.from({ length: count }, (_, i) => buffer.readUInt32LE(HEAD_BYTES + 4 * i))
  const record = { bytes, reasoning, whole: whole === 1, tokens, conversation: buffer.toString('utf8', end) }
  return { record, made: buffer.readDoubleLE(20) }
}
