// Values by key, in the order in which they were used: what was used last is found first, and what was used longest ago
// is given up first. A page of them is read without sorting.

interface Node<T> {
  readonly key: string
  value: T
  /** Larger than that of everything used before. */
  stamp: number
  newer: Node<T> | null
  older: Node<T> | null
}

/** A value, and its place in the order. */
export interface Place<T> {
  readonly value: T
  readonly stamp: number
}

export class RecencyList<T> {
  readonly #nodes = new Map<string, Node<T>>()
  #newest: Node<T> | null = null
  #oldest: Node<T> | null = null
  #lastStamp = 0

  get size(): number {
    return this.#nodes.size
  }

  get(key: string): T | undefined {
    return this.#nodes.get(key)?.value
  }

  get oldest(): T | undefined {
    return this.#oldest?.value
  }

  /** Adds the value, or counts use of it, at `time` in milliseconds: stamps follow the clock, so they survive a restart. */
  use(key: string, value: T, time: number): void {
    const node = this.#nodes.get(key) ?? { key, value, stamp: 0, newer: null, older: null }
    if (node.stamp > 0) this.#unlink(node)
    node.value = value
    this.#lastStamp = node.stamp = Math.max(this.#lastStamp + 1, Math.floor(time))
    node.older = this.#newest
    if (this.#newest) this.#newest.newer = node
    else this.#oldest = node
    this.#newest = node
    this.#nodes.set(key, node)
  }

  delete(key: string): boolean {
    const node = this.#nodes.get(key)
    if (node) this.#unlink(node)
    return this.#nodes.delete(key)
  }

  /** Most recently used first. */
  *[Symbol.iterator](): Iterator<Place<T>> {
    for (let node = this.#newest; node; node = node.older) yield node
  }

  #unlink(node: Node<T>): void {
    if (node.newer) node.newer.older = node.older
    else this.#newest = node.older
    if (node.older) node.older.newer = node.newer
    else this.#oldest = node.newer
    node.newer = node.older = null
  }
}
