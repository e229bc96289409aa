// The store of one data directory, and the small part of it that its users see: tables of binary keys and values, sealed on
// the disk. All that its users need is in memory, so no fault of the disk ends the service: a damaged store is set aside
// and made anew of what is in memory, and a disk that takes no more is tried again until it does.

import { systemClock, type Clock } from '../engine/clock.js'
import type { Fault } from '../protocol/fault.js'
import { ConditionWatch, type Condition, type ConditionListener } from './condition.js'
import { recordsIn, type StoredRecord } from './packed-records.js'
import { serverSecret } from './secret.js'
import { nativeStoreFile, type OpenStoreFile } from './store-file.js'
import { StoreWriter } from './store-writer.js'

/** Keys between two, neither of which is in it. @default from the first, to the last */
export interface KeyRange {
  readonly after?: Uint8Array
  readonly before?: Uint8Array
}

/** A table of binary keys and values. Writes are ordered, batched and committed in the background. */
export interface Table {
  /**
   * As they are on disk, in the order of their keys; of a range those in it. A value that does not open, because it is damaged or of another secret, is empty; where the disk gives
   * no more records, they end.
   */
  entries(range?: KeyRange): Iterable<StoredRecord>
  put(key: Uint8Array, value: Uint8Array): void
  remove(key: Uint8Array): void
}

/** Names of tables, and where all their records come from when the store is made anew. */
export type Sources = Readonly<Record<string, () => Iterable<StoredRecord>>>

export interface Database {
  /** The store that is there lacks records that servers before knew: it was damaged, of another format, or cannot be read. */
  readonly isLost: boolean
  table(name: string): Table
  /** The tables have been read, and memory has all that they should hold: from now on the store can be made anew of it. */
  rewriteFrom(sources: Sources): void
  /** Ends when every write so far is on disk; rejects with a StoreError where the disk does not take them. */
  flushed(): Promise<void>
  /** Removes what is left of a damaged store: it is users' text, sealed. Rejects with a StoreError. */
  discardDamaged(): Promise<void>
  condition(): Condition
  /** Told of each change, and at once where the disk is not well already. */
  onCondition(listener: ConditionListener): void
  /** Tries to write everything; then nothing is written any more. Never rejects. */
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** @default the machine's */
  readonly clock: Clock
  /** Told of a store that was set aside, or is of another format. @default none */
  readonly onFault: (fault: Fault) => void
  /** @default the addon's */
  readonly openFile: OpenStoreFile
}

/** Opens, or creates, `store/` in the data directory, whatever lies there. The caller holds the directory's lock. */
export function openDatabase(dataDir: string, options: Partial<DatabaseOptions> = {}): Database {
  const { clock = systemClock, onFault = () => {}, openFile = nativeStoreFile } = options
  const watch = new ConditionWatch(clock)
  const file = openFile(dataDir, serverSecret(dataDir))
  const writer = new StoreWriter(file, { clock, onFault, watch })
  return {
    get isLost() {
      return writer.isLost
    },
    table: name => {
      const table = file.table(name)
      return {
        *entries({ after: first, before } = {}) {
          let after: Uint8Array | null = first ?? null
          for (;;) {
            const page = writer.page(table, after)
            if (page.length === 0) return
            for (const record of recordsIn(page)) {
              if (before && Buffer.compare(record.key, before) >= 0) return
              yield record
              after = record.key
            }
          }
        },
        put: (key, value) => writer.write(table, key, value),
        remove: key => writer.write(table, key, null),
      }
    },
    rewriteFrom: sources => writer.rewriteFrom(new Map(Object.entries(sources).map(([name, records]) => [file.table(name), records]))),
    flushed: () => writer.flushed(),
    discardDamaged: async () => {
      await file.removeAside()
    },
    condition: () => watch.now,
    onCondition: listener => watch.listen(listener),
    close: () => writer.close(),
  }
}
