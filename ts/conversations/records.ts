// Token records of answers: the ids an answer was generated with, found by the hash of the chain it ends.

import type { ChainHash } from './chain.js'
import type { Table } from './table.js'

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

/** Least recently used records go first, when `maxBytes` is reached. Losing one costs speed, never correctness. */
export class AnswerRecords {
  readonly #records = new Map<ChainHash, AnswerRecord>()
  readonly #table: Table | null
  readonly #maxBytes: number
  #bytes = 0

  constructor(table: Table | null, maxBytes: number) {
    this.#table = table
    this.#maxBytes = maxBytes
    for (const { key, value } of table?.entries() ?? []) {
      const record = decode(value)
      if (record) this.#insert(Buffer.from(key).toString('latin1'), record)
      else table?.remove(key)
    }
    this.#trim()
  }

  get size(): number {
    return this.#records.size
  }

  get bytes(): number {
    return this.#bytes
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
    this.#table?.put(Buffer.from(hash, 'latin1'), encode(record))
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

/** The first word of a record. Records of before there was reasoning begin with their bytes, which are fewer. */
const LAYOUT = 0xffff_0002
const HEAD_BYTES = 20

/** Layout, bytes, reasoning, whole, count, ids, then the conversation's key in UTF-8. */
function encode({ tokens, bytes, reasoning, whole, conversation }: AnswerRecord): Buffer {
  const head = Buffer.alloc(HEAD_BYTES + 4 * tokens.length)
  const words = [LAYOUT, bytes, reasoning, whole ? 1 : 0, tokens.length]
  words.forEach((word, i) => head.writeUInt32LE(word, 4 * i))
  tokens.forEach((token, i) => head.writeUInt32LE(token, HEAD_BYTES + 4 * i))
  return Buffer.concat([head, Buffer.from(conversation, 'utf8')])
}

/** null: not a record of this layout, nor of the one before. */
function decode(value: Uint8Array): AnswerRecord | null {
  const buffer = Buffer.from(value)
  if (buffer.length < 8) return null
  const first = buffer.readUInt32LE(0)
  if (first !== LAYOUT) return decodeIds(buffer, 4, { bytes: first, reasoning: 0, whole: false })
  if (buffer.length < HEAD_BYTES) return null
  const [bytes = 0, reasoning = 0, whole = 0] = [4, 8, 12].map(at => buffer.readUInt32LE(at))
  return decodeIds(buffer, 16, { bytes, reasoning, whole: whole === 1 })
}

/** The count of the ids lies at `at`, and they behind it. */
function decodeIds(buffer: Buffer, at: number, head: Omit<TokenRecord, 'tokens'>): AnswerRecord | null {
  const count = buffer.readUInt32LE(at)
  const end = at + 4 + 4 * count
  if (buffer.length < end || head.reasoning > count) return null
  const tokens = Uint32Array.from({ length: count }, (_, i) => buffer.readUInt32LE(at + 4 + 4 * i))
  return { ...head, tokens, conversation: buffer.toString('utf8', end) }
}
