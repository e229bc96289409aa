// The keys of one file, as long as a server runs.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readKeyFile, type KeyRecord } from './key-file.js'

const KEY_BYTES = 32

/** 256 random bits as text. The beginning lets people and scanners of secrets see what it is. */
export function newKey(): string {
  return `as_${randomBytes(KEY_BYTES).toString('base64url')}`
}

/** A key of 256 random bits cannot be guessed from a fast hash either, so it needs no slow one. */
export function keyHash(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest()
}

interface Entry {
  readonly record: KeyRecord
  readonly hash: Buffer
}

export class Keyring {
  readonly path: string
  #entries: readonly Entry[]

  /** @throws KeyFileError if the file cannot be used. */
  constructor(path: string) {
    this.path = path
    this.#entries = entriesOf(path)
  }

  get size(): number {
    return this.#entries.length
  }

  /** Reads the file again. @throws KeyFileError if it cannot be used: the keys before stay. */
  reload(): void {
    this.#entries = entriesOf(this.path)
  }

  /** Whose key this is. Compares with every key, each in constant time. */
  find(key: string): KeyRecord | null {
    const hash = keyHash(key)
    let found: KeyRecord | null = null
    for (const entry of this.#entries) if (timingSafeEqual(entry.hash, hash)) found = entry.record
    return found
  }

  /** The key of this id, if it still is one. */
  byId(id: string): KeyRecord | null {
    return this.#entries.find(({ record }) => record.id === id)?.record ?? null
  }
}

function entriesOf(path: string): Entry[] {
  return readKeyFile(path).map((record) => ({ record, hash: Buffer.from(record.sha256, 'hex') }))
}
