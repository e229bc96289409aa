// What the conversations need of a database. The directory's tables fit.

export interface StoredRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** A table of binary keys and values. Writes are ordered, batched and committed in the background. */
export interface Table {
  entries(): Iterable<StoredRecord>
  put(key: Uint8Array, value: Uint8Array): void
  remove(key: Uint8Array): void
}

export interface Tables {
  table(name: string): Table
}
