// What stands for KV: one 32-bit number a row, a function of the token, its offset in the block and everything that
// attention read from the slots. Any wrong, stale or missing row changes every later row and so the tokens sampled.

import { BLOCK_TOKENS } from '../types.js'

export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ (b + 0x9e3779b9), 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h ^ (a >>> 7), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** The rows of one slot, with a digest that is computed once a content. */
export class SlotContent {
  readonly rows = new Uint32Array(BLOCK_TOKENS)
  #digest: number | null = null

  /** `poison`: what lies in a slot that nobody wrote; different everywhere, so that reading it shows. */
  constructor(poison: number) {
    for (let row = 0; row < BLOCK_TOKENS; row++) this.rows[row] = mix(poison, row)
  }

  set(row: number, value: number): void {
    this.rows[row] = value
    this.#digest = null
  }

  /** The first `valid` rows of `other`; rows beyond become zero. */
  fill(other: Uint32Array, valid: number): void {
    this.rows.fill(0)
    this.rows.set(other.subarray(0, valid))
    this.#digest = null
  }

  /** The first `valid` rows of `other`; rows beyond stay. */
  copyRows(other: Uint32Array, valid: number): void {
    this.rows.set(other.subarray(0, valid))
    this.#digest = null
  }

  /** Everything in the slot, folded into `before`. */
  foldAll(before: number): number {
    if (this.#digest === null) {
      let digest = 0
      for (const row of this.rows) digest = mix(digest, row)
      this.#digest = digest
    }
    return mix(before, this.#digest)
  }
}

/**
 * Computes rows [from, to) of a view in order, reading everything before them from `slots`, its blocks in view order.
 * Answers the state after the last row, from which the next token is sampled.
 */
export function computeRows(slots: readonly SlotContent[], from: number, to: number, tokenAt: (position: number) => number): number {
  let state = 0
  const firstBlock = Math.floor(from / BLOCK_TOKENS)
  for (let index = 0; index < firstBlock; index++) state = (slots[index] as SlotContent).foldAll(state)
  for (let index = firstBlock; index * BLOCK_TOKENS < to; index++) {
    const slot = slots[index] as SlotContent
    const start = index * BLOCK_TOKENS
    let inBlock = state
    for (let row = 0; row < BLOCK_TOKENS && start + row < to; row++) {
      if (start + row >= from) slot.set(row, mix(mix(inBlock, tokenAt(start + row)), row))
      inBlock = mix(inBlock, slot.rows[row] as number)
    }
    if (start + BLOCK_TOKENS >= to) return inBlock
    state = slot.foldAll(state)
  }
  return state
}
