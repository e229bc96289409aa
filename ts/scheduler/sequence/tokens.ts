// The token ids of a sequence: a typed array that grows.

export class TokenList {
  #ids: Uint32Array
  #length: number

  constructor(ids: Uint32Array) {
    this.#ids = ids
    this.#length = ids.length
  }

  get length(): number {
    return this.#length
  }

  push(id: number): void {
    if (this.#length === this.#ids.length) {
      const grown = new Uint32Array(Math.max(64, this.#ids.length * 2))
      grown.set(this.#ids)
      this.#ids = grown
    }
    this.#ids[this.#length++] = id
  }

  /** Token ids [from, to): a view that must not be kept; the list may move. */
  view(from = 0, to = this.#length): Uint32Array {
    return this.#ids.subarray(from, Math.min(to, this.#length))
  }

  /** Token ids [from, to): a copy that may be kept. */
  copy(from: number, to: number): Uint32Array {
    return this.#ids.slice(from, Math.min(to, this.#length))
  }
}
