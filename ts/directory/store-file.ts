// The store's file as the database sees it: the addon's thread behind promises. Tests put files in its place that fail as
// they are told.

import { join } from 'node:path'
import type { BindingFound, BindingStore } from '../engine/native/addon.generated.js'
import { loadAddon } from '../engine/native/addon.js'
import { bodyOf } from '../engine/native/errors.js'
import { StoreError, type StoreErrorCode } from './store-error.js'

/** What lay in the store's folder. */
export type Found = Readonly<BindingFound>
/** What a batch is to the records that are there: a change, or a piece of all that replaces them. */
export type BatchPart = 'change' | 'first' | 'next' | 'last'

/** Every method throws a StoreError, or rejects with one. */
export interface StoreFile {
  /** Opens the store, or begins one where nothing can be read; waits for the disk. */
  openNow(): Found
  open(): Promise<Found>
  /** `keeps`: the store that is there is set aside, not deleted. */
  beginAnew(detail: string, keeps: boolean): Promise<Found>
  /** Whether there was a store that had been set aside. */
  removeAside(): Promise<boolean>
  /** The number that batches have for a table. */
  table(name: string): number
  /** Packed records behind a key; empty: there are no more. Waits for the disk. */
  page(table: number, after: Uint8Array | null): Uint8Array
  /** When the promise ends, the batch is on disk. */
  commit(batch: Uint8Array, part: BatchPart): Promise<void>
  close(): Promise<void>
}

/** Opens the file of `store/` in a data directory. `secret`: values are sealed under keys made of it. */
export type OpenStoreFile = (dataDir: string, secret: Uint8Array) => StoreFile

/** Starts the store's thread; opens nothing yet. */
export const nativeStoreFile: OpenStoreFile = (dataDir, secret) => new NativeStoreFile(loadAddon().startStore(join(dataDir, 'store'), secret))

class NativeStoreFile implements StoreFile {
  readonly #store: BindingStore

  constructor(store: BindingStore) {
    this.#store = store
  }

  openNow(): Found {
    return typed(() => this.#store.openNow())
  }

  open(): Promise<Found> {
    return settled(this.#store.open())
  }

  beginAnew(detail: string, keeps: boolean): Promise<Found> {
    return settled(this.#store.beginAnew(detail, keeps))
  }

  removeAside(): Promise<boolean> {
    return settled(this.#store.removeAside())
  }

  table(name: string): number {
    return this.#store.table(name)
  }

  page(table: number, after: Uint8Array | null): Uint8Array {
    return typed(() => this.#store.page(table, after))
  }

  commit(batch: Uint8Array, part: BatchPart): Promise<void> {
    return settled(this.#store.commit(batch, part))
  }

  close(): Promise<void> {
    return settled(this.#store.close())
  }
}

function typed<T>(work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw storeError(thrown)
  }
}

async function settled<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (thrown) {
    throw storeError(thrown)
  }
}

function storeError(thrown: unknown): StoreError {
  const { code, message } = bodyOf(thrown)
  const isKnown = code.startsWith('store_')
  return new StoreError(isKnown ? (code as StoreErrorCode) : 'store_invalid', message, { cause: thrown })
}
