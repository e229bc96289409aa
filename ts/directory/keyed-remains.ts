// Full blocks that have left the directory, and that a key-addressed tier may still have: which conversations used each of
// them when it left. An erasure deletes them too. In memory only, and no more of them than the tier holds.

import type { BlockKey } from '../engine/types.js'

export class KeyedRemains {
  readonly #most: number
  /** In the order in which they left. */
  readonly #users = new Map<BlockKey, readonly string[]>()
  readonly #keys = new Map<string, Set<BlockKey>>()

  /** @param most Blocks that are remembered; the one that left first is forgotten first. */
  constructor(most: number) {
    this.#most = most
  }

  /** The block has left; these conversations used it. */
  left(key: BlockKey, users: readonly string[]): void {
    this.#forget(key)
    if (users.length === 0 || this.#most === 0) return
    const [oldest] = this.#users.size >= this.#most ? this.#users.keys() : []
    if (oldest !== undefined) this.#forget(oldest)
    this.#users.set(key, users)
    for (const user of users) {
      const keys = this.#keys.get(user)
      if (keys) keys.add(key)
      else this.#keys.set(user, new Set([key]))
    }
  }

  /** The conversation is erased: answers the blocks that it alone used. Those that others used too stay with them. */
  take(conversation: string): BlockKey[] {
    const keys = [...(this.#keys.get(conversation) ?? [])]
    return keys.filter(key => {
      const others = this.#users.get(key)?.filter(user => user !== conversation) ?? []
      if (others.length > 0) this.left(key, others)
      else this.#forget(key)
      return others.length === 0
    })
  }

  #forget(key: BlockKey): void {
    for (const user of this.#users.get(key) ?? []) {
      const keys = this.#keys.get(user)
      keys?.delete(key)
      if (keys?.size === 0) this.#keys.delete(user)
    }
    this.#users.delete(key)
  }
}
