// Bytes that outlive their block: an ssd slot that is given up keeps them until it is written again. Whose they were is
// remembered, so that erasing a conversation reaches them too. Bounded by the slots: a written slot is forgotten.

import type { Table } from './database.js'

const NONE: ReadonlySet<never> = new Set()
/** No conversation's name has one. */
const SEPARATOR = '\n'
/** Conversations that are remembered of one slot. What more of them used counts as anyone's. */
const MOST_USERS = 64
/** No conversation's name is empty. */
const ANYONE = ''

export class Remains {
  /** Conversations by slot. */
  readonly #users = new Map<number, ReadonlySet<string>>()
  #table: Table | null = null

  /**
   * Remembers across restarts.
   * @param isKept Says whether a slot may still hold what it held, and whether a conversation is known.
   */
  keepIn(table: Table, isKept: { slot(slot: number): boolean; conversation(name: string): boolean }): void {
    this.#table = table
    for (const { key, value } of table.entries()) {
      const slot = Buffer.from(key).readUInt32BE()
      const users = Buffer.from(value).toString('utf8').split(SEPARATOR).filter(name => name === ANYONE || isKept.conversation(name))
      if (isKept.slot(slot) && users.length > 0) this.#users.set(slot, new Set(users))
      else table.remove(key)
    }
  }

  get size(): number {
    return this.#users.size
  }

  /** The slot is given up, and holds bytes that these conversations used, besides what it may have held before. */
  left(slot: number, conversations: Iterable<string>): void {
    const named = new Set([...(this.#users.get(slot) ?? NONE), ...conversations])
    if (named.size === 0) return
    const users = named.size > MOST_USERS || named.has(ANYONE) ? new Set([ANYONE]) : named
    this.#users.set(slot, users)
    this.#table?.put(slotKey(slot), Buffer.from([...users].join(SEPARATOR), 'utf8'))
  }

  /** Every byte of the slot is written: nothing of before is left. */
  overwritten(slot: number): void {
    if (this.#users.delete(slot)) this.#table?.remove(slotKey(slot))
  }

  has(slot: number, conversation: string): boolean {
    const users = this.#users.get(slot) ?? NONE
    return users.has(conversation) || users.has(ANYONE)
  }

  /** Slots that hold bytes of the conversation. */
  of(conversation: string): number[] {
    return [...this.#users.keys()].filter(slot => this.has(slot, conversation))
  }
}

function slotKey(slot: number): Buffer {
  const key = Buffer.alloc(4)
  key.writeUInt32BE(slot)
  return key
}
