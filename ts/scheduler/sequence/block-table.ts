// The block table of a sequence: for each block of its view a block that is shared through the directory, or a slot of the
// sequence's own.

import type { Block } from '../../directory/block.js'
import type { Reservation } from '../../directory/reservation.js'

/** `slot` is one of hbm. Of `block` and `own` one is null. */
export type TableEntry =
  | { readonly slot: number; readonly block: Block; readonly own: null }
  | { readonly slot: number; readonly block: null; readonly own: Reservation }

/** Told what the engine does not know of a table. */
export interface TableReader {
  /** The engine's table has to be emptied first. */
  reset(): void
  entry(index: number, slot: number): void
}

export class BlockTable {
  /** By block index; what lies outside the view has no entry. */
  #entries: Array<TableEntry | undefined> = []
  /** Blocks before this one that are outside the view have left. */
  #leftUpTo = 0
  /** The engine knows the entries before this one. */
  #told = 0
  #needsReset = false
  #sources: readonly Block[] = []

  get leftUpTo(): number {
    return this.#leftUpTo
  }

  /** Blocks whose rows its slots were filled from, since it has had them. */
  get sources(): readonly Block[] {
    return this.#sources
  }

  at(index: number): TableEntry | undefined {
    return this.#entries[index]
  }

  *[Symbol.iterator](): IterableIterator<readonly [index: number, entry: TableEntry]> {
    for (const [index, entry] of this.#entries.entries()) if (entry) yield [index, entry]
  }

  /** The slots are about to be filled from these blocks. */
  fillFrom(sources: readonly Block[]): void {
    this.#sources = sources
  }

  /** Block `index` is shared: its hbm copy is filling or present. */
  share(index: number, block: Block): void {
    this.#entries[index] = { slot: block.copies.hbm.slot, block, own: null }
  }

  /** Block `index` has a slot of the sequence's own. */
  own(index: number, own: Reservation): void {
    this.#entries[index] = { slot: own.slot, block: null, own }
  }

  /** Block `index` is outside the view from now on, and so is everything before it that is not of the head. */
  leave(index: number): TableEntry | undefined {
    const entry = this.#entries[index]
    this.#entries[index] = undefined
    this.#leftUpTo = index + 1
    return entry
  }

  /** The engine does not know all of the first `blocks` entries. */
  hasNews(blocks: number): boolean {
    return this.#needsReset || this.#told < blocks
  }

  /** Tells what the engine does not know of the first `blocks` entries. */
  tell(blocks: number, reader: TableReader): void {
    if (this.#needsReset) reader.reset()
    this.#needsReset = false
    for (; this.#told < blocks; this.#told++) {
      const entry = this.#entries[this.#told]
      if (entry) reader.entry(this.#told, entry.slot)
    }
  }

  /** Nothing is in it any more. `isKnown`: the engine knows the sequence. */
  clear(isKnown: boolean): void {
    this.#entries = []
    this.#sources = []
    this.#leftUpTo = 0
    this.#told = 0
    this.#needsReset = isKnown
  }
}
