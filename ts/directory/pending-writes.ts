// Writes that are not on disk yet: of each key the latest one, within a bound.

/** What a write costs besides its bytes: map entry, key as a text, buffers. */
const OVERHEAD_BYTES = 160

interface Write {
  readonly table: number
  readonly key: Uint8Array
  /** null: the record is removed. */
  readonly value: Uint8Array | null
}

export type Writes = ReadonlyMap<string, Write>

export class PendingWrites {
  #writes = new Map<string, Write>()
  #bytes = 0

  get isEmpty(): boolean {
    return this.#writes.size === 0
  }

  /** About, in memory. */
  get bytes(): number {
    return this.#bytes
  }

  /** The caller may change the arrays afterwards. */
  add(table: number, key: Uint8Array, value: Uint8Array | null): void {
    this.#set(nameOf(table, key), { table, key: Uint8Array.from(key), value: value && Uint8Array.from(value) })
  }

  /** All of them; none is left. */
  take(): Writes {
    const writes = this.#writes
    this.clear()
    return writes
  }

  /** Writes that were taken and could not be committed. Those that came later win. */
  putBack(writes: Writes): void {
    for (const [name, write] of writes) if (!this.#writes.has(name)) this.#set(name, write)
  }

  clear(): void {
    this.#writes = new Map()
    this.#bytes = 0
  }

  #set(name: string, write: Write): void {
    const before = this.#writes.get(name)
    if (before) this.#bytes -= costOf(before)
    this.#writes.set(name, write)
    this.#bytes += costOf(write)
  }
}

function nameOf(table: number, key: Uint8Array): string {
  return `${table} ${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')}`
}

function costOf({ key, value }: Write): number {
  return OVERHEAD_BYTES + 2 * key.length + (value?.length ?? 0)
}
