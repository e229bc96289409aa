// Partly filled blocks that left. The turn that asks for one again asks for a longer block with another key, so they are
// found by what they follow and what they begin with.

import type { BlockKey } from '../engine/types.js'
import { commonTokens } from './token-order.js'

interface LostTail {
  readonly key: BlockKey
  readonly parent: BlockKey
  readonly tokens: Uint32Array
  /** Names of the conversations that used it. */
  readonly users: readonly string[]
}

/** Of the tails that follow one block, only the last ones are told apart. */
const MOST_SIBLINGS = 8

export class LostTails {
  readonly #byKey = new Map<BlockKey, LostTail>()
  readonly #byParent = new Map<BlockKey, LostTail[]>()

  add(tail: LostTail): void {
    const { key, parent } = tail
    this.remove(key)
    const siblings = this.#byParent.get(parent) ?? []
    const tooMany = siblings.length === MOST_SIBLINGS ? siblings.shift() : undefined
    if (tooMany) this.#byKey.delete(tooMany.key)
    siblings.push(tail)
    this.#byParent.set(parent, siblings)
    this.#byKey.set(key, tail)
  }

  remove(key: BlockKey): void {
    const tail = this.#byKey.get(key)
    if (!tail) return
    this.#byKey.delete(key)
    const siblings = (this.#byParent.get(tail.parent) ?? []).filter(other => other !== tail)
    if (siblings.length > 0) this.#byParent.set(tail.parent, siblings)
    else this.#byParent.delete(tail.parent)
  }

  /** Keys of the tails that the conversation used. */
  of(conversation: string): BlockKey[] {
    return [...this.#byKey.values()].filter(({ users }) => users.includes(conversation)).map(({ key }) => key)
  }

  /** The tail after `parent` that shares the most leading tokens with `tokens`, and how many. */
  best(parent: BlockKey, tokens: Uint32Array): { readonly key: BlockKey; readonly rows: number } | undefined {
    let best: { key: BlockKey; rows: number } | undefined
    for (const tail of this.#byParent.get(parent) ?? []) {
      const rows = commonTokens(tail.tokens, tokens)
      if (rows > (best?.rows ?? 0)) best = { key: tail.key, rows }
    }
    return best
  }
}
