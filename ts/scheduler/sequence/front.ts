// A history of which the front is computed while the back is read: how far both have come.

import type { Block } from '../../directory/block.js'
import { BLOCK_TOKENS } from '../../engine/types.js'

export class Front {
  /** View blocks that are neither computed nor there, and where their bytes lie; null: they must be computed. */
  readonly missing = new Map<number, Block | null>()
  /** Rows of the front that may be planned now. */
  rows = 0
  /** Rows that are planned and not answered. */
  unanswered = 0
  /** Reads asked for that have not ended, and the next block to ask for, from the back. */
  asked = 0
  nextRead: number
  /** Of the last block only some rows are of use, and it may be missing too. */
  readonly tail: number

  /** `length`: tokens of the whole history. */
  constructor(public length: number) {
    this.nextRead = Math.ceil(length / BLOCK_TOKENS)
    this.tail = length % BLOCK_TOKENS === 0 ? -1 : this.nextRead - 1
  }

  /** The history ends before its last, partly used block: a front that stands there computes on. */
  dropTail(): void {
    this.missing.delete(this.tail)
    this.length = this.tail * BLOCK_TOKENS
  }

  /** Nothing is read: everything that is missing is computed. */
  giveUp(): void {
    for (const index of this.missing.keys()) this.missing.set(index, null)
  }

  /** `rows` of the planned ones are computed. */
  answered(rows: number): void {
    this.unanswered -= rows
  }

  /** Rows [from, to) are planned: their blocks are the front's now. */
  claim(from: number, to: number): void {
    this.rows -= to - from
    this.unanswered += to - from
    for (let index = Math.floor(from / BLOCK_TOKENS); index * BLOCK_TOKENS < to; index++) this.missing.delete(index)
  }
}
