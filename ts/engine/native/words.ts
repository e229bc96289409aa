// Values as little-endian 32-bit words: the alphabet of the wire. `crates/engine/src/wire/words.rs` is the other half.

import type { BlockKey } from '../types.js'

const KEY_BYTES = 32
const KEY_WORDS = KEY_BYTES / 4

/** Writes into one reused array; what `taken` returns is valid until the next `begin`. */
export class WordWriter {
  /** Another one after `place`, where that made it larger. */
  packed = new Uint32Array(1024)
  #at = 0

  begin(): this {
    this.#at = 0
    return this
  }

  taken(): Uint32Array {
    return this.packed.subarray(0, this.#at)
  }

  /** The place in `packed` of `count` words that the caller fills. */
  place(count: number): number {
    const at = this.#at
    this.#at += count
    if (this.#at > this.packed.length) this.#grow(this.#at)
    return at
  }

  word(value: number): void {
    const at = this.place(1)
    this.packed[at] = value
  }

  /** 64 bits of a whole number below 2^53. */
  long(value: number): void {
    this.word(value)
    this.word(value / 2 ** 32)
  }

  /** Copied whole. */
  words(values: Uint32Array): void {
    this.word(values.length)
    const at = this.place(values.length)
    this.packed.set(values, at)
  }

  flag(value: boolean): void {
    this.word(value ? 1 : 0)
  }

  key(value: BlockKey): void {
    const at = this.place(KEY_WORDS)
    for (let word = 0; word < KEY_WORDS; word++) {
      const byte = 4 * word
      this.packed[at + word] =
        value.charCodeAt(byte) |
        (value.charCodeAt(byte + 1) << 8) |
        (value.charCodeAt(byte + 2) << 16) |
        (value.charCodeAt(byte + 3) << 24)
    }
  }

  list<T>(values: readonly T[], write: (to: WordWriter, value: T) => void): void {
    this.word(values.length)
    for (const value of values) write(this, value)
  }

  #grow(least: number): void {
    const grown = new Uint32Array(2 * least)
    grown.set(this.packed)
    this.packed = grown
  }
}

const NONE: readonly never[] = []

/** Reads words from the start of a buffer that begins at a multiple of four bytes. */
export class WordReader {
  readonly #bytes: Buffer
  readonly #words: Uint32Array
  readonly #floats: Float32Array
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
    this.#floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#words.length
  }

  word(): number {
    return this.#words[this.#next(1)] as number
  }

  float(): number {
    return this.#floats[this.#next(1)] as number
  }

  /** 64 bits, exact up to 2^53. */
  long(): number {
    return this.word() + this.word() * 2 ** 32
  }

  /** Length in bytes, then UTF-8 in whole words. */
  text(): string {
    const length = this.word()
    if (length === 0) return ''
    const from = 4 * this.#next(Math.ceil(length / 4))
    return this.#bytes.toString('utf8', from, from + length)
  }

  key(): BlockKey {
    const from = 4 * this.#next(KEY_WORDS)
    return this.#bytes.toString('latin1', from, from + KEY_BYTES)
  }

  choice<T>(choices: readonly T[]): T {
    const number = this.word()
    const chosen = choices[number]
    if (chosen === undefined) throw new Error(`The wire has no choice of number ${number} among ${choices.join(', ')}.`)
    return chosen
  }

  list<T>(read: (from: WordReader) => T): readonly T[] {
    const count = this.word()
    if (count === 0) return NONE
    const values: T[] = []
    for (let at = 0; at < count; at++) values.push(read(this))
    return values
  }

  /** The place of the next `count` words. */
  #next(count: number): number {
    const at = this.#at
    this.#at += count
    if (this.#at > this.#words.length) throw new Error(`The packed events end after ${this.#words.length} words.`)
    return at
  }
}
