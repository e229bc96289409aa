// Which conversations use which blocks, kept: the keys are written to the store with each turn, so that the pairs are
// known after a restart.

import type { Block } from '../directory/block.js'
import type { Table } from '../directory/database.js'
import type { Directory } from '../directory/directory.js'
import type { BlockKey } from '../engine/types.js'

const KEY_BYTES = 32

/** A conversation is named by `conversationKey`: its tenant and id. */
export class Referrers {
  readonly #directory: Directory
  readonly #table: Table | null

  /** @param isKnown Says of a stored conversation whether it still is one. */
  constructor(directory: Directory, table: Table | null, isKnown: (conversation: string) => boolean) {
    this.#directory = directory
    this.#table = table
    for (const { key, value } of table?.entries() ?? []) {
      const conversation = Buffer.from(key).toString('utf8')
      if (isKnown(conversation)) this.#link(conversation, keysOf(value))
      else table?.remove(key)
    }
  }

  /** The conversation uses the blocks with these keys, as far as they are there. */
  refer(conversation: string, keys: Iterable<BlockKey>): void {
    this.#link(conversation, keys)
    const blocks = this.blocksOf(conversation)
    if (blocks.size > 0) this.#table?.put(Buffer.from(conversation, 'utf8'), Buffer.from([...blocks].map(({ key }) => key).join(''), 'latin1'))
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
    this.#table?.remove(Buffer.from(conversation, 'utf8'))
  }

  #link(conversation: string, keys: Iterable<BlockKey>): void {
    for (const key of keys) {
      const block = this.#directory.blocks.get(key)
      if (block) this.#directory.users.add(conversation, block)
    }
  }
}

function* keysOf(value: Uint8Array): Iterable<BlockKey> {
  const text = Buffer.from(value).toString('latin1')
  for (let at = 0; at + KEY_BYTES <= text.length; at += KEY_BYTES) yield text.slice(at, at + KEY_BYTES)
}
