// A tier whose copies are found by the keys of their blocks: an object store, or memory that several servers share. It
// gives no slots out and tells the directory of no copy; whether a block is there has to be asked, and the answer may come
// later. Its bytes come from dram slots and go to dram slots of the engine.

import type { BlockKey } from './types.js'

/**
 * How a put or get ended. Without `error` it is done. `absent`: the tier does not have the block; `kv_damaged`: the bytes
 * that it has are not the block; `full`: it takes no more. Other codes are of its medium. `detail`: a sentence.
 */
export interface KeyedEnd {
  readonly error?: string
  readonly detail?: string
}

/** Holds full blocks only: the key of a partly filled one changes with each token. */
export interface KeyedTier {
  /** The most blocks that it holds. It chooses itself which of them go. */
  readonly capacity: number
  /** Says of each key whether the tier has the block, in the order asked. May resolve at any time, or never; rejects where nothing can be said. */
  has(keys: readonly BlockKey[]): Promise<readonly boolean[]>
  /**
   * Copies the block in a dram slot into the tier. It is found from the end on, and not before its bytes are complete. Ends
   * in bounded time, with an error if need be: the slot stays pinned until then.
   */
  put(key: BlockKey, dramSlot: number): Promise<KeyedEnd>
  /** Copies the block into a dram slot, whose bytes mean nothing after an error. Ends in bounded time, as a put does. */
  get(key: BlockKey, dramSlot: number): Promise<KeyedEnd>
  /** After it has resolved, no get finds the blocks. Rejects if that is not so. */
  delete(keys: readonly BlockKey[]): Promise<void>
}
