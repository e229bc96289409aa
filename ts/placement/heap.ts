// A binary heap of blocks whose order may change while they are in it; every block knows its place.

export interface Heaped {
  /** Place in the heap; −1: not in it. */
  heapAt: number
}

export class BlockHeap<B extends Heaped> {
  readonly #items: B[] = []
  readonly #before: (a: B, b: B) => boolean

  constructor(before: (a: B, b: B) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#items.length
  }

  get first(): B | undefined {
    return this.#items[0]
  }

  add(block: B): void {
    this.#items.push(block)
    block.heapAt = this.#items.length - 1
    this.#up(block)
  }

  remove(block: B): void {
    const at = block.heapAt
    const last = this.#items.pop() as B
    block.heapAt = -1
    if (last === block) return
    this.#put(last, at)
    this.fix(last)
  }

  /** The block's rank has changed. */
  fix(block: B): void {
    if (!this.#up(block)) this.#down(block)
  }

  /**
   * The first block in order that passes `test`; undefined: none of the first `mostFailures` does. Blocks are tested in
   * order, the heap's own way down.
   */
  firstWhere(test: (block: B) => boolean, mostFailures: number): B | undefined {
    const open: number[] = this.#items.length === 0 ? [] : [0]
    for (let failures = 0; open.length > 0 && failures < mostFailures; failures++) {
      const at = this.#takeFirst(open)
      const block = this.#items[at] as B
      if (test(block)) return block
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < this.#items.length) open.push(child)
    }
    return undefined
  }

  /** As `firstWhere`, by a look at every block: faster where many fail. */
  firstOfAll(test: (block: B) => boolean): B | undefined {
    let best: B | undefined
    for (const block of this.#items) {
      if ((best === undefined || this.#before(block, best)) && test(block)) best = block
    }
    return best
  }

  /** Any rank may have changed. */
  rebuild(): void {
    for (let at = (this.#items.length >> 1) - 1; at >= 0; at--) this.#down(this.#items[at] as B)
  }

  /** Takes the place out of `open` whose block is first. `open` stays short: a child for each block that failed. */
  #takeFirst(open: number[]): number {
    let first = 0
    for (let i = 1; i < open.length; i++) {
      if (this.#before(this.#items[open[i] as number] as B, this.#items[open[first] as number] as B)) first = i
    }
    return open.splice(first, 1)[0] as number
  }

  #up(block: B): boolean {
    const start = block.heapAt
    let at = start
    while (at > 0) {
      const parent = this.#items[(at - 1) >> 1] as B
      if (!this.#before(block, parent)) break
      this.#put(parent, at)
      at = (at - 1) >> 1
    }
    this.#put(block, at)
    return at !== start
  }

  #down(block: B): void {
    let at = block.heapAt
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.#items.length) break
      if (child + 1 < this.#items.length && this.#before(this.#items[child + 1] as B, this.#items[child] as B)) child++
      const least = this.#items[child] as B
      if (!this.#before(least, block)) break
      this.#put(least, at)
      at = child
    }
    this.#put(block, at)
  }

  #put(block: B, at: number): void {
    this.#items[at] = block
    block.heapAt = at
  }
}
