// The lmdb environment of one data directory, and the small part of it that its users see.

import { open, type RootDatabase } from 'lmdb'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** A table of binary keys and values. Writes are ordered, batched and committed in the background. */
export interface Table {
  entries(): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>
  put(key: Uint8Array, value: Uint8Array): void
  remove(key: Uint8Array): void
}

export interface Database {
  table(name: string): Table
  /** Ends when every write so far is on disk. */
  flushed(): Promise<void>
  /** As `flushed`; then nothing is written any more. */
  close(): Promise<void>
}

/**
 * Opens, or creates, `store/` in the data directory. The caller holds the directory's lock. A commit is on disk before it
 * is reported: with overlapping syncs, closing and opening again in one process races with the sync thread.
 */
export function openDatabase(dataDir: string): Database {
  const path = join(dataDir, 'store')
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const root = open({ path, maxDbs: 8, keyEncoding: 'binary', encoding: 'binary', noSubdir: false, overlappingSync: false })
  let isClosed = false
  return {
    table: name => lmdbTable(root, name, () => isClosed),
    flushed: async () => {
      if (!isClosed) await root.flushed
    },
    close: async () => {
      if (isClosed) return
      isClosed = true
      await root.flushed
      await root.close()
    },
  }
}

/** Writes after `close` are dropped: lmdb would write to memory that is gone. */
function lmdbTable(root: RootDatabase, name: string, isClosed: () => boolean): Table {
  const database = root.openDB<Uint8Array, Uint8Array>({ name, keyEncoding: 'binary', encoding: 'binary' })
  return {
    *entries() {
      for (const { key, value } of database.getRange()) yield { key, value: Uint8Array.from(value) }
    },
    put: (key, value) => {
      if (!isClosed()) void database.put(key, Buffer.from(value))
    },
    remove: key => {
      if (!isClosed()) void database.remove(key)
    },
  }
}
