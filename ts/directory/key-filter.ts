// A set of keys in little memory that may also say yes to a key that it was never given, never no to one that it holds
// (a Bloom filter). Bounded: two halves, of which the older is emptied when the younger is full.

import type { BlockKey } from '../engine/types.js'

/** 16 bits a key and 4 probes: 0.24 % false positives in a full half. */
const BITS_A_KEY = 16
const PROBES = 4

export class KeyFilter {
  readonly #capacity: number
  readonly #mask: number
  #young: Uint32Array
  #old: Uint32Array
  #count = 0

  /** Holds the last `capacity` keys at least, and twice as many at most. */
  constructor(capacity: number) {
    this.#capacity = Math.max(1, capacity)
    const bits = 2 ** Math.ceil(Math.log2(Math.max(32, this.#capacity * BITS_A_KEY)))
    this.#mask = bits - 1
    this.#young = new Uint32Array(bits / 32)
    this.#old = new Uint32Array(bits / 32)
  }

  add(key: BlockKey): void {
    if (this.#count === this.#capacity) this.#turn()
    this.#count++
    for (const bit of this.#bits(key)) this.#young[bit >>> 5] = (this.#young[bit >>> 5] ?? 0) | (1 << (bit & 31))
  }

  mayHold(key: BlockKey): boolean {
    const bits = this.#bits(key)
    return bits.every(bit => isSet(this.#young, bit)) || bits.every(bit => isSet(this.#old, bit))
  }

  #turn(): void {
    const emptied = this.#old.fill(0)
    this.#old = this.#young
    this.#young = emptied
    this.#count = 0
  }

  /** A key is a hash: its own bytes serve. */
  #bits(key: BlockKey): number[] {
    return Array.from({ length: PROBES }, (_, probe) => keyWord(key, probe) & this.#mask)
  }
}

/** 32 bits of a key, `word` 0 … 7. */
export function keyWord(key: BlockKey, word: number): number {
  const at = word * 4
  return ((key.charCodeAt(at) << 24) | (key.charCodeAt(at + 1) << 16) | (key.charCodeAt(at + 2) << 8) | key.charCodeAt(at + 3)) >>> 0
}

function isSet(words: Uint32Array, bit: number): boolean {
  return ((words[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0
}
