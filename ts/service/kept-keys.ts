// The keys of each conversation's blocks, in the store. A turn adds a record of what is new, so it does not pay for what the
// conversation had before: an id that many requests share may have hundreds of thousands of blocks. When there are many
// records, or most of their keys are of blocks that are gone, they become one.

import type { Table } from '../directory/database.js'
import type { StoredRecord } from '../directory/packed-records.js'
import type { BlockKey } from '../engine/types.js'

const KEY_BYTES = 32
/** Stands between a tenant, an id and a record's number; none of them has one. */
const SEPARATOR = '\0'
/** Records of one conversation before they become one, and one more for so many blocks. */
const MOST_RECORDS = 16
const BLOCKS_A_RECORD = 64
/** Keys of blocks that are gone before the records become one, besides as many as there are blocks. */
const MOST_GONE = 64

interface Records {
  count: number
  /** In all of them, those of blocks that are gone included. */
  keys: number
}

export class KeptKeys {
  readonly #table: Table
  readonly #records = new Map<string, Records>()

  constructor(table: Table) {
    this.#table = table
  }

  /** Tells the keys of each conversation that `isKnown`, in as many calls as there are records; removes all others. */
  restore(isKnown: (conversation: string) => boolean, tell: (conversation: string, keys: Iterable<BlockKey>) => void): void {
    for (const { key, value } of this.#table.entries()) {
      const { conversation, number } = readKey(key)
      if (!isKnown(conversation)) {
        this.#table.remove(key)
        continue
      }
      const records = this.#recordsOf(conversation)
      records.count = Math.max(records.count, number + 1)
      records.keys += Math.floor(value.length / KEY_BYTES)
      tell(conversation, keysOf(value))
    }
  }

  /** `added`: keys that the conversation did not have; `all`: its blocks, those included. */
  add(conversation: string, added: readonly BlockKey[], all: ReadonlySet<{ readonly key: BlockKey }>): void {
    const records = this.#recordsOf(conversation)
    const isFull = records.count >= MOST_RECORDS + all.size / BLOCKS_A_RECORD
    if (isFull || records.keys + added.length > 2 * all.size + MOST_GONE) {
      this.forget(conversation)
      return this.#put(conversation, Array.from(all, ({ key }) => key))
    }
    this.#put(conversation, added)
  }

  forget(conversation: string): void {
    const count = this.#records.get(conversation)?.count ?? 0
    for (let number = 0; number < count; number++) this.#table.remove(recordKey(conversation, number))
    this.#records.delete(conversation)
  }

  /** One record of each conversation, in the place of all that it has. */
  *rewritten(blocksOf: (conversation: string) => ReadonlySet<{ readonly key: BlockKey }>): Iterable<StoredRecord> {
    for (const conversation of [...this.#records.keys()]) {
      const keys = Array.from(blocksOf(conversation), ({ key }) => key)
      this.#records.set(conversation, { count: 1, keys: keys.length })
      yield { key: recordKey(conversation, 0), value: valueOf(keys) }
    }
  }

  #put(conversation: string, keys: readonly BlockKey[]): void {
    const records = this.#recordsOf(conversation)
    this.#table.put(recordKey(conversation, records.count), valueOf(keys))
    records.count++
    records.keys += keys.length
  }

  #recordsOf(conversation: string): Records {
    const known = this.#records.get(conversation)
    if (known) return known
    const none = { count: 0, keys: 0 }
    this.#records.set(conversation, none)
    return none
  }
}

function valueOf(keys: readonly BlockKey[]): Buffer {
  return Buffer.from(keys.join(''), 'latin1')
}

/** The first record has the conversation's own name. */
function recordKey(conversation: string, number: number): Buffer {
  return Buffer.from(number === 0 ? conversation : `${conversation}${SEPARATOR}${number}`, 'utf8')
}

function readKey(key: Uint8Array): { readonly conversation: string; readonly number: number } {
  const [tenant, id, number] = Buffer.from(key).toString('utf8').split(SEPARATOR)
  return { conversation: `${tenant}${SEPARATOR}${id}`, number: Number(number ?? 0) }
}

/** The conversation that a record is about. */
export function conversationOf(key: Uint8Array): string {
  return readKey(key).conversation
}

export function* keysOf(value: Uint8Array): Iterable<BlockKey> {
  const text = Buffer.from(value).toString('latin1')
  for (let at = 0; at + KEY_BYTES <= text.length; at += KEY_BYTES) yield text.slice(at, at + KEY_BYTES)
}
