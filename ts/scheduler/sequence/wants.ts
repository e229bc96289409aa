// The blocks that a sequence wants while it waits, and how far they were brought into memory before its turn.

import type { Block } from '../../directory/block.js'

export class Wants {
  /** The first block that was not looked at yet. */
  #next = 0
  /** Reads under way. */
  #reads = 0
  #isStuck = false

  constructor(readonly blocks: readonly Block[]) {}

  /** Blocks that are not in memory yet, as far as it was looked. */
  get missing(): number {
    return this.blocks.length - this.#next + this.#reads
  }

  /** dram had no room for the next block. */
  get isStuck(): boolean {
    return this.#isStuck
  }

  /** The first block that has to be read; blocks before it are in memory, on their way or gone. */
  next(): Block | undefined {
    let block = this.blocks[this.#next]
    while (block && (block.gone || isInMemory(block))) block = this.blocks[++this.#next]
    return block
  }

  /** There was room for the next block, or there was none. */
  foundRoom(hasRoom: boolean): void {
    this.#isStuck = !hasRoom
  }

  /** The next block is being read. */
  readBegan(): void {
    this.#reads++
    this.#next++
  }

  /** One of the reads has ended, well or not. */
  readEnded(): void {
    this.#reads--
  }
}

function isInMemory(block: Block): boolean {
  return block.has('dram') || block.copies.hbm.state !== 'absent'
}
