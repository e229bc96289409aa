// Block ids of a file, whatever they look like, as small whole numbers.

export class BlockIds {
  #count = 0

  get count(): number {
    return this.#count
  }

  /** A name space of its own: ids of one session, or of the whole file. */
  scope(): (id: string | number) => number {
    const known = new Map<string | number, number>()
    return (id) => {
      const found = known.get(id)
      if (found !== undefined) return found
      known.set(id, this.#count)
      return this.#count++
    }
  }

  /** `count` ids that no other block has. */
  fresh(count: number): Int32Array {
    const first = this.#count
    this.#count += count
    return Int32Array.from({ length: count }, (_, i) => first + i)
  }
}
