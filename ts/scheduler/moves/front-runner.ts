// A history of which the front is computed while the back is read, until they meet. Blocks that the front reaches first
// are computed, and what is read of them afterwards is ignored; blocks that are there first are skipped.

import type { Block } from '../../directory/block.js'
import { BLOCK_TOKENS } from '../../engine/types.js'
import type { Core } from '../core/core.js'
import { frontBlocks, NO_COMPANY } from '../costs/load-or-recompute.js'
import type { Loader } from './loader.js'
import type { Reads } from './reads.js'
import type { Front } from '../sequence/front.js'
import type { Sequence } from '../sequence/sequence.js'
import type { Traffic } from '../costs/traffic.js'

/** Milliseconds for which the reads of one request that are under way at once keep the disk busy, at least. */
const READ_AHEAD_MS = 20
const MOST_READS = 8
/** Milliseconds that a front waits for the disk before it looks again, where a block's computing time is not known. */
const PATIENCE_MS = 250

export class FrontRunner {
  readonly #core: Core
  readonly #reads: Reads
  readonly #loader: Loader
  readonly #traffic: Traffic
  #cancelTimer: (() => void) | null = null

  constructor(core: Core, reads: Reads, loader: Loader, traffic: Traffic) {
    this.#core = core
    this.#reads = reads
    this.#loader = loader
    this.#traffic = traffic
  }

  close(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
  }

  /** Asks for reads from the back, moves the front over what is there, and says how far it may compute. */
  advance(sequence: Sequence): void {
    const { front } = sequence.progress
    if (!front) return
    this.#ask(sequence, front)
    this.#skip(sequence, front)
    // A block that another request has asked for is being read, and no load of it has been sent yet: the engine would not
    // know that a step has to wait for it.
    front.rows = sequence.loading.pendingReads > 0 ? 0 : this.#rowsOf(sequence, front)
    if (front.missing.size === 0 && sequence.progress.planned >= front.length) return sequence.meet()
    if (front.rows === 0 && front.unanswered === 0) this.#lookAgain()
  }

  /** A disk that has stopped reports nothing. */
  #lookAgain(): void {
    const { clock, costs } = this.#core
    this.#cancelTimer ??= clock.after(costs.blockMs || PATIENCE_MS, () => {
      this.#cancelTimer = null
      this.#core.events.emit('frontWaited')
    })
  }

  #skip({ progress }: Sequence, front: Front): void {
    if (progress.planned % BLOCK_TOKENS > 0) return
    let index = progress.planned / BLOCK_TOKENS
    while (index * BLOCK_TOKENS < front.length && !front.missing.has(index)) index++
    progress.skipTo(Math.min(index * BLOCK_TOKENS, front.length))
  }

  #rowsOf({ progress: { planned } }: Sequence, front: Front): number {
    // A block that was begun is ended.
    const begun = planned % BLOCK_TOKENS
    if (begun > 0) return BLOCK_TOKENS - begun
    const { costs, options } = this.#core
    const question = {
      left: front.missing.size,
      readMs: costs.readMs,
      computeMs: costs.blockMs,
      busyMs: costs.prefillMs(front.unanswered),
      // A way that an operator fixed is not weighed.
      company: options.history === 'auto' ? this.#traffic.besideOne : NO_COMPANY,
    }
    const first = planned / BLOCK_TOKENS
    const wished = frontBlocks(question)
    let count = 0
    while (front.missing.has(first + count) && (count < wished || front.missing.get(first + count) === null)) count++
    if (first === front.tail && count > 0) front.dropTail()
    const most = front.tail < 0 ? count : Math.max(0, front.tail - first)
    return Math.min(count, most) * BLOCK_TOKENS
  }

  #ask(sequence: Sequence, front: Front): void {
    const depth = Math.max(2, Math.min(MOST_READS, Math.ceil(READ_AHEAD_MS / this.#core.costs.readMs)))
    while (front.asked < depth && front.nextRead * BLOCK_TOKENS > sequence.progress.planned) {
      const index = --front.nextRead
      const block = front.missing.get(index)
      if (block) this.#fetch(sequence, front, index, block)
    }
  }

  #fetch(sequence: Sequence, front: Front, index: number, block: Block): void {
    if (block.has('dram') || (index !== front.tail && block.copies.hbm.state !== 'absent')) return this.#take(sequence, front, index, block)
    if (!block.has('ssd')) return void front.missing.set(index, null)
    const isWanted = () => sequence.progress.front === front && front.missing.get(index) === block
    front.asked++
    this.#reads.want(block, {
      isWanted,
      promoted: () => {
        front.asked--
        if (isWanted()) this.#take(sequence, front, index, block)
      },
      lost: () => {
        front.asked--
        if (isWanted()) front.missing.set(index, null)
      },
    })
  }

  /** The block is in memory: it becomes part of the table, and what has to be loaded is. */
  #take(sequence: Sequence, front: Front, index: number, block: Block): void {
    const own = sequence.table.at(index)?.own
    if (!own) throw new Error('a block of the front without a slot')
    front.missing.delete(index)
    if (index === front.tail) return this.#loader.loadOwn(sequence.loading, block, own.slot)
    const { hbm } = block.copies
    if (hbm.state === 'absent') {
      own.become(block, 'filling')
      this.#loader.loadShared(sequence.loading, block)
    } else {
      own.dispose()
      if (hbm.state === 'filling') this.#loader.joinShared(sequence.loading, block)
    }
    sequence.table.share(index, block)
    this.#core.directory.ref(block)
  }
}
