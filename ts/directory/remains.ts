// Bytes that outlive their block: an ssd slot that is given up keeps them until it is written again. Whose they were is
// remembered, so that erasing a conversation reaches them too. Bounded by the slots: what was overwritten and flushed is
// forgotten.

import type { Table } from './database.js'
import type { StoredRecord } from './packed-records.js'

const NONE: ReadonlySet<never> = new Set()
/** No conversation's name has one. */
const SEPARATOR = '\n'
/** Conversations that are remembered of one slot. What more of them used counts as anyone's. */
const MOST_USERS = 64
/** No conversation's name is empty: the next erasure, of whatever conversation, overwrites the slot. */
export const ANYONE = ''

/** What outlives a restart. */
export interface RemainsStore {
  /** Conversations by slot. */
  readonly left: Table
  /** Of slots that are being written: whose bytes they will hold. */
  readonly writing: Table
  /** Ends when everything that was put so far is on disk. */
  committed(): Promise<void>
}

export interface Kept {
  /** Whether a slot may still hold what it held: no block has it. */
  slot(slot: number): boolean
  /** Whether a conversation is known. */
  conversation(name: string): boolean
}

export class Remains {
  /** Conversations by slot. */
  readonly #users = new Map<number, ReadonlySet<string>>()
  /** Of these slots, those that were written again, and are not flushed: after a power loss their old bytes may be back. */
  readonly #rewritten = new Set<number>()
  /** Slots of which the store says that they are being written, and for whom. */
  readonly #writing = new Map<number, ReadonlySet<string>>()
  #store: RemainsStore | null = null

  /**
   * Remembers across restarts. A slot that was being written when the server ended, and that no block has now, holds bytes
   * of the conversations that it was written for; if none of them is known, of anyone.
   */
  keepIn(store: RemainsStore, isKept: Kept): void {
    this.#store = store
    for (const { key, value } of store.left.entries()) {
      const slot = Buffer.from(key).readUInt32BE()
      const users = usersIn(value).filter(name => name === ANYONE || isKept.conversation(name))
      if (isKept.slot(slot) && users.length > 0) this.#users.set(slot, new Set(users))
      else store.left.remove(key)
    }
    for (const { key, value } of store.writing.entries()) {
      const slot = Buffer.from(key).readUInt32BE()
      const users = usersIn(value).filter(name => isKept.conversation(name))
      if (isKept.slot(slot)) this.left(slot, users.length > 0 ? users : [ANYONE])
      store.writing.remove(key)
    }
  }

  /** All that the tables hold: `left` and `writing`. */
  get sources(): { readonly left: () => Iterable<StoredRecord>; readonly writing: () => Iterable<StoredRecord> } {
    return { left: () => recordsOf(this.#users), writing: () => recordsOf(this.#writing) }
  }

  /** The store is lost, and with it whose bytes lie in these slots: they count as anyone's. */
  areAnyones(slots: Iterable<number>): void {
    for (const slot of slots) this.left(slot, [ANYONE])
  }

  /** It outlives a restart. */
  get isKept(): boolean {
    return this.#store !== null
  }

  get size(): number {
    return this.#users.size
  }

  /**
   * The slot is about to be written for these conversations. The promise ends when that is on disk: whenever the server
   * ends, nothing was written that an erasure would not find. null: nothing is remembered across restarts.
   */
  writing(slot: number, conversations: readonly string[]): Promise<void> | null {
    if (!this.#store) return null
    const users = usersOf(conversations)
    this.#writing.set(slot, users)
    this.#store.writing.put(slotKey(slot), encoded(users))
    return this.#store.committed()
  }

  /** The slot is given up, and holds bytes that these conversations used, besides what it may have held before. */
  left(slot: number, conversations: Iterable<string>): void {
    this.#rewritten.delete(slot)
    const named = new Set([...(this.#users.get(slot) ?? NONE), ...conversations])
    if (named.size > 0) {
      const users = usersOf(named)
      this.#users.set(slot, users)
      this.#store?.left.put(slotKey(slot), encoded(users))
    }
    this.#endWriting(slot)
  }

  /** Every byte of the slot is written; what was there before is gone for good with the next flush. */
  rewritten(slot: number): void {
    if (this.#users.has(slot)) this.#rewritten.add(slot)
  }

  /** That is flushed: nothing of before is left. */
  overwritten(slot: number): void {
    this.#rewritten.delete(slot)
    if (this.#users.delete(slot)) this.#store?.left.remove(slotKey(slot))
    this.#endWriting(slot)
  }

  /** The slot can be read, and bytes of the conversation found. */
  has(slot: number, conversation: string): boolean {
    return !this.#rewritten.has(slot) && this.#isOf(slot, conversation)
  }

  /** Slots that hold bytes of the conversation. */
  of(conversation: string): number[] {
    return [...this.#users.keys()].filter(slot => this.has(slot, conversation))
  }

  /** A slot that held bytes of the conversation is written again, and not flushed. */
  awaitsFlush(conversation: string): boolean {
    for (const slot of this.#rewritten) if (this.#isOf(slot, conversation)) return true
    return false
  }

  #isOf(slot: number, conversation: string): boolean {
    const users = this.#users.get(slot) ?? NONE
    return users.has(conversation) || users.has(ANYONE)
  }

  #endWriting(slot: number): void {
    if (this.#writing.delete(slot)) this.#store?.writing.remove(slotKey(slot))
  }
}

function usersOf(conversations: Iterable<string>): ReadonlySet<string> {
  const named = new Set(conversations)
  return named.size === 0 || named.size > MOST_USERS || named.has(ANYONE) ? new Set([ANYONE]) : named
}

function* recordsOf(slots: ReadonlyMap<number, ReadonlySet<string>>): Iterable<StoredRecord> {
  for (const [slot, users] of [...slots]) yield { key: slotKey(slot), value: encoded(users) }
}

function encoded(users: ReadonlySet<string>): Buffer {
  return Buffer.from([...users].join(SEPARATOR), 'utf8')
}

export function usersIn(value: Uint8Array): string[] {
  return Buffer.from(value).toString('utf8').split(SEPARATOR)
}

export function slotKey(slot: number): Buffer {
  const key = Buffer.alloc(4)
  key.writeUInt32BE(slot)
  return key
}
