// Which conversations use which blocks. Only blocks that are there count, so there are never more pairs than slots and
// what conversations share; the keys are written to the store with each turn, so that the pairs are known after a restart.

import type { Block } from '../directory/block.js'
import type { Table } from '../directory/database.js'
import type { Directory } from '../directory/directory.js'
import type { BlockKey } from '../engine/types.js'

const KEY_BYTES = 32
const NONE: ReadonlySet<never> = new Set()

/** A conversation is named by `conversationKey`: its tenant and id. */
export class Referrers {
  readonly #directory: Directory
  readonly #table: Table | null
  readonly #blocks = new Map<string, Set<Block>>()
  readonly #conversations = new Map<Block, Set<string>>()

  /** @param isKnown Says of a stored conversation whether it still is one. */
  constructor(directory: Directory, table: Table | null, isKnown: (conversation: string) => boolean) {
    this.#directory = directory
    this.#table = table
    for (const { key, value } of table?.entries() ?? []) {
      const conversation = Buffer.from(key).toString('utf8')
      if (isKnown(conversation)) this.#link(conversation, keysOf(value))
      else table?.remove(key)
    }
    directory.onForgotten = block => this.#forgetBlock(block)
  }

  /** The conversation uses the blocks with these keys, as far as they are there. */
  refer(conversation: string, keys: Iterable<BlockKey>): void {
    this.#link(conversation, keys)
    const blocks = this.blocksOf(conversation)
    if (blocks.size > 0) this.#table?.put(Buffer.from(conversation, 'utf8'), Buffer.from([...blocks].map(({ key }) => key).join(''), 'latin1'))
  }

  blocksOf(conversation: string): ReadonlySet<Block> {
    return this.#blocks.get(conversation) ?? NONE
  }

  /** Conversations that use the block. */
  of(block: Block): ReadonlySet<string> {
    return this.#conversations.get(block) ?? NONE
  }

  /** The conversation is no longer known. Its blocks stay until placement gives them up. */
  forget(conversation: string): void {
    for (const block of this.blocksOf(conversation)) remove(this.#conversations, block, conversation)
    this.#blocks.delete(conversation)
    this.#table?.remove(Buffer.from(conversation, 'utf8'))
  }

  /** Throws unless both sides name the same pairs, of blocks that are in the directory. */
  checkIntegrity(): void {
    let pairs = 0
    for (const [conversation, blocks] of this.#blocks) {
      for (const block of blocks) {
        if (this.#directory.blocks.get(block.key) !== block) throw new Error('a conversation refers to a block that is gone')
        if (!this.of(block).has(conversation)) throw new Error('a block does not know a conversation that refers to it')
        pairs++
      }
    }
    for (const conversations of this.#conversations.values()) pairs -= conversations.size
    if (pairs !== 0) throw new Error('a block knows a conversation that does not refer to it')
  }

  #link(conversation: string, keys: Iterable<BlockKey>): void {
    for (const key of keys) {
      const block = this.#directory.blocks.get(key)
      if (!block) continue
      add(this.#blocks, conversation, block)
      add(this.#conversations, block, conversation)
    }
  }

  #forgetBlock(block: Block): void {
    for (const conversation of this.of(block)) remove(this.#blocks, conversation, block)
    this.#conversations.delete(block)
  }
}

function add<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key)
  if (set) set.add(value)
  else sets.set(key, new Set([value]))
}

function remove<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key)
  set?.delete(value)
  if (set?.size === 0) sets.delete(key)
}

function* keysOf(value: Uint8Array): Iterable<BlockKey> {
  const text = Buffer.from(value).toString('latin1')
  for (let at = 0; at + KEY_BYTES <= text.length; at += KEY_BYTES) yield text.slice(at, at + KEY_BYTES)
}
