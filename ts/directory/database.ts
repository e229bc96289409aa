// The lmdb environment of one data directory, and the small part of it that its users see. Every value in it is sealed
// (`seal.ts`), under a key of its table.

import type { RootDatabase } from 'lmdb'
import { Sealer } from './seal.js'
import { serverSecret } from './secret.js'
import { openEnvironment, openTable, prepareStore } from './store-format.js'

/** A table of binary keys and values. Writes are ordered, batched and committed in the background. */
export interface Table {
  /** A value that does not open, because it is damaged or of another secret, is empty. */
  entries(): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>
  put(key: Uint8Array, value: Uint8Array): void
  remove(key: Uint8Array): void
}

export interface Database {
  /** Records of blocks that were dropped at opening, with a store of another format; absent: none. */
  readonly droppedBlocks?: number
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
  const secret = serverSecret(dataDir)
  const sealerOf = (table: string): Sealer => new Sealer(secret, `table ${table}`)
  const { path, droppedBlocks } = prepareStore(dataDir, (table, key, value) => sealerOf(table).seal(key, value))
  const root = openEnvironment(path)
  let isClosed = false
  return {
    droppedBlocks,
    table: name => lmdbTable(root, name, sealerOf(name), () => isClosed),
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

const EMPTY = new Uint8Array()

/** Writes after `close` are dropped: lmdb would write to memory that is gone. */
function lmdbTable(root: RootDatabase, name: string, sealer: Sealer, isClosed: () => boolean): Table {
  const database = openTable(root, name)
  return {
    *entries() {
      for (const { key, value } of database.getRange()) yield { key, value: sealer.open(key, value) ?? EMPTY }
    },
    put: (key, value) => {
      if (!isClosed()) void database.put(key, sealer.seal(key, value))
    },
    remove: key => {
      if (!isClosed()) void database.remove(key)
    },
  }
}
