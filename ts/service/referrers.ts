// Which conversations use which blocks, kept: the keys that are new are written to the store with each turn, so that the
// pairs are known after a restart.

import type { Block } from '../directory/block.js'
import type { Table } from '../directory/database.js'
import type { StoredRecord } from '../directory/packed-records.js'
import type { Directory } from '../directory/directory.js'
import type { BlockKey } from '../engine/types.js'
import { KeptKeys } from './kept-keys.js'

/** A conversation is named by `conversationKey`: its tenant and id. */
export class Referrers {
  readonly #directory: Directory
  readonly #kept: KeptKeys | null

  /** @param isKnown Says of a stored conversation whether it still is one. */
  constructor(directory: Directory, table: Table | null, isKnown: (conversation: string) => boolean) {
    this.#directory = directory
    this.#kept = table && new KeptKeys(table)
    this.#kept?.restore(isKnown, (conversation, keys) => this.#link(conversation, keys))
  }

  /** The conversation uses the blocks with these keys, as far as they are there. */
  refer(conversation: string, keys: Iterable<BlockKey>): void {
    const added = this.#link(conversation, keys)
    if (added.length > 0) this.#kept?.add(conversation, added, this.blocksOf(conversation))
  }

  /** All that the table should hold: one record of each conversation. */
  records(): Iterable<StoredRecord> {
    return this.#kept?.rewritten(conversation => this.blocksOf(conversation)) ?? []
  }

  blocksOf(conversation: string): ReadonlySet<Block> {
    return this.#directory.users.blocksOf(conversation)
  }

  /** Conversations that use the block. */
  of(block: Block): ReadonlySet<string> {
    return this.#directory.users.of(block)
  }

  /** The conversation is no longer known. Its blocks stay until placement gives them up. */
  forget(conversation: string): void {
    this.#directory.users.forgetConversation(conversation)
    this.#kept?.forget(conversation)
  }

  /** Answers which pairs are new, by the block's key. */
  #link(conversation: string, keys: Iterable<BlockKey>): BlockKey[] {
    const added: BlockKey[] = []
    for (const key of keys) {
      const block = this.#directory.blocks.get(key)
      if (!block || this.of(block).has(conversation)) continue
      this.#directory.users.add(conversation, block)
      added.push(key)
    }
    return added
  }
}
