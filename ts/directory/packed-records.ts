// The packed forms of batches and pages, as crates/store/src/packed.rs reads and writes them: u32, little-endian.

const WORD = 4
/** Stands for the length of a value that is not there. */
const ABSENT = 0xffff_ffff

export interface StoredRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** Writes of one batch. Room for it is taken once: it is emptied after each use. */
export class BatchWriter {
  #bytes = Buffer.allocUnsafe(64 * 1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** null: the record is removed. */
  add(table: number, key: Uint8Array, value: Uint8Array | null): void {
    this.#makeRoom(3 * WORD + key.length + (value?.length ?? 0))
    const bytes = this.#bytes
    let at = bytes.writeUInt32LE(table, this.#length)
    at = bytes.writeUInt32LE(key.length, at)
    at = bytes.writeUInt32LE(value === null ? ABSENT : value.length, at)
    bytes.set(key, at)
    if (value !== null) bytes.set(value, at + key.length)
    this.#length = at + key.length + (value?.length ?? 0)
  }

  /** The batch, which holds until the next `add`. */
  take(): Uint8Array {
    const batch = this.#bytes.subarray(0, this.#length)
    this.#length = 0
    return batch
  }

  #makeRoom(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#length + bytes))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}

const EMPTY = new Uint8Array()

/** The records of a page; a value that does not open is empty. They are views of the page. */
export function* recordsIn(page: Uint8Array): Iterable<StoredRecord> {
  const words = new DataView(page.buffer, page.byteOffset, page.byteLength)
  for (let at = 0; at < page.length; ) {
    const [keyLength, valueLength] = [words.getUint32(at, true), words.getUint32(at + WORD, true)]
    const keyEnd = at + 2 * WORD + keyLength
    const valueEnd = valueLength === ABSENT ? keyEnd : keyEnd + valueLength
    const value = valueLength === ABSENT ? EMPTY : page.subarray(keyEnd, valueEnd)
    yield { key: page.subarray(at + 2 * WORD, keyEnd), value }
    at = valueEnd
  }
}
