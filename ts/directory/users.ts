// Which conversations use which blocks, as pairs. Only blocks that are in the directory count, so there are never more
// pairs than slots and what conversations share. A conversation is named by a key that this file does not look into.

import type { BlockKey } from '../engine/types.js'
import type { Block } from './block.js'
import type { Pace } from './pace.js'

const NONE: ReadonlySet<never> = new Set()

export class BlockUsers {
  /** Grows whenever a pair comes or goes. */
  version = 0
  readonly #blocks = new Map<string, Set<Block>>()
  readonly #conversations = new Map<Block, Set<string>>()

  /** The conversation uses the block. */
  add(conversation: string, block: Block): void {
    this.version++
    add(this.#blocks, conversation, block)
    add(this.#conversations, block, conversation)
  }

  /** Blocks that the conversation uses. */
  blocksOf(conversation: string): ReadonlySet<Block> {
    return this.#blocks.get(conversation) ?? NONE
  }

  /** Conversations that use the block. */
  of(block: Block): ReadonlySet<string> {
    return this.#conversations.get(block) ?? NONE
  }

  /** The conversation uses nothing any more. */
  forgetConversation(conversation: string): void {
    this.version++
    for (const block of this.blocksOf(conversation)) remove(this.#conversations, block, conversation)
    this.#blocks.delete(conversation)
  }

  /** The block has left the directory. */
  forgetBlock(block: Block): void {
    this.version++
    for (const conversation of this.of(block)) remove(this.#blocks, conversation, block)
    this.#conversations.delete(block)
  }

  /** Throws unless both sides name the same pairs, of blocks that are among `blocks`. Stops after every piece. */
  *check(blocks: ReadonlyMap<BlockKey, Block>, pace: Pace): Iterable<void> {
    let pairs = 0
    for (const [conversation, used] of this.#blocks) {
      for (const block of used) {
        if (blocks.get(block.key) !== block) throw new Error('a conversation refers to a block that is gone')
        if (!this.of(block).has(conversation)) throw new Error('a block does not know a conversation that refers to it')
        pairs++
        if (pace.isOver) yield
      }
    }
    for (const conversations of this.#conversations.values()) {
      pairs -= conversations.size
      if (pace.isOver) yield
    }
    if (pairs !== 0) throw new Error('a block knows a conversation that does not refer to it')
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
