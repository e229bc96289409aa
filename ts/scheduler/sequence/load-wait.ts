// The loads that a sequence waits for until its blocks are all in hbm. The loader writes it; the parts that plan steps read it.

import type { Block } from '../../directory/block.js'

/** One load of one block into one hbm slot: the block's own copy (shared), or a slot of the only user's. */
export interface Load {
  readonly source: Block
  readonly slot: number
  readonly isShared: boolean
  /** Those that wait for its end. */
  readonly users: Set<LoadWait>
  /** `reading`: its bytes are not in dram yet. */
  stage: 'reading' | 'loading'
}

export class LoadWait {
  readonly #loads = new Set<Load>()
  #reads = 0
  #bytes = 0
  #startedAt = 0
  #hasFailed = false

  /** Loads under way for the block table. */
  get loads(): ReadonlySet<Load> {
    return this.#loads
  }

  /** How many loads are under way. */
  get pending(): number {
    return this.#loads.size
  }

  /** Of these, those whose bytes are not in dram yet. */
  get pendingReads(): number {
    return this.#reads
  }

  /** Bytes to load in this preparation, all together. */
  get bytes(): number {
    return this.#bytes
  }

  /** When this preparation began, in milliseconds. */
  get startedAt(): number {
    return this.#startedAt
  }

  /** A load failed: the sequence has to leave hbm and come again. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** The sequence has got its slots; nothing is loaded yet. */
  begin(now: number): void {
    this.#bytes = 0
    this.#startedAt = now
  }

  /** The sequence waits for the load, of `bytes` bytes. */
  join(load: Load, bytes: number): void {
    load.users.add(this)
    this.#loads.add(load)
    if (load.stage === 'reading') this.#reads++
    this.#bytes += bytes
  }

  /** The bytes of one of the loads are in dram now. */
  promoted(): void {
    this.#reads--
  }

  /** One of the loads has ended. */
  ended(load: Load): void {
    this.#loads.delete(load)
    if (load.stage === 'reading') this.#reads--
  }

  failed(): void {
    this.#hasFailed = true
  }

  /** The sequence no longer waits. A load that has started completes even if no sequence waits for it. */
  leave(): void {
    for (const load of this.#loads) load.users.delete(this)
    this.#loads.clear()
    this.#reads = 0
    this.#hasFailed = false
  }
}
