// Fetching before it is asked for: what the first requests of the queue will need is promoted ssd → dram, and from there
// loaded into hbm slots that no request needs (the read buffer) when their turn is near. Completion is an event: reads and
// loads end, and the scheduler looks at the queue again.

import type { Block } from '../../directory/block.js'
import type { Reservation } from '../../directory/reservation.js'
import { BLOCK_TOKENS } from '../../engine/types.js'
import type { HistoryChooser } from '../costs/chooser.js'
import type { Core } from '../core/core.js'
import type { Loader } from './loader.js'
import type { LookAhead } from '../costs/look-ahead.js'
import type { PrefetchLedger } from '../accounts/prefetch-ledger.js'
import { readBufferBytes } from '../costs/hidden-loads.js'
import type { ReadWaiter, Reads } from './reads.js'
import type { Room } from './room.js'
import type { Sequence } from '../sequence/sequence.js'
import type { Wants } from '../sequence/wants.js'
import type { Writer } from './writer.js'

/** Requests at the head of the queue whose turn is near. */
const NEAR = 2
/** A request that lacks no more blocks is read for beside longer histories, not behind them. */
const FEW_BLOCKS = 4

export interface PrefetcherParts {
  readonly room: Room
  readonly reads: Reads
  readonly loader: Loader
  readonly lookAhead: LookAhead
  readonly writer: Writer
  readonly chooser: HistoryChooser
  /** Told what is brought into dram. */
  readonly ledger: PrefetchLedger
}

export class Prefetcher {
  readonly #core: Core
  readonly #room: Room
  readonly #reads: Reads
  readonly #loader: Loader
  readonly #lookAhead: LookAhead
  readonly #writer: Writer
  readonly #chooser: HistoryChooser
  readonly #ledger: PrefetchLedger
  readonly #isOn: boolean
  /** Versions of the tiers at which they had no slot for what is fetched. */
  readonly #refusedAt = { hbm: -1, dram: -1 }

  constructor(core: Core, parts: PrefetcherParts) {
    this.#core = core
    this.#room = parts.room
    this.#reads = parts.reads
    this.#loader = parts.loader
    this.#lookAhead = parts.lookAhead
    this.#writer = parts.writer
    this.#chooser = parts.chooser
    this.#ledger = parts.ledger
    core.events.on('blockTaken', block => parts.ledger.used(block))
    // Staging slots are for what is under way; nothing can wait there for its turn.
    this.#isOn = core.options.prefetch && core.tiers.dram && core.options.history !== 'recompute'
  }

  /**
   * Nothing that a waiting request wants lies on ssd alone, or nothing can be done about it before its turn, or computing
   * it is better than waiting for the disk.
   */
  isReady(sequence: Sequence): boolean {
    const { wants } = sequence
    if (!this.#isOn || wants.isStuck) return true
    wants.next()
    const { missing } = wants
    return missing === 0 || this.#chooser.choose(missing) !== 'load'
  }

  /** Starts what may start, for the requests within the look-ahead window, in the queue's order, beside it who lacks few. */
  pump(queue: Iterable<Sequence>): void {
    if (!this.#isOn) return
    const { length } = this
    let place = 0
    for (const sequence of queue) {
      if (place >= length) return
      if (place < NEAR) this.#buffer(sequence)
      if (this.#reads.hasRoomAhead(lacksFew(sequence.wants))) this.#promote(sequence)
      place++
    }
  }

  /** Requests that are fetched for: as many as have conversations that fit what of dram does not wait for the disk. */
  get length(): number {
    return this.#lookAhead.length(this.#core.directory.pools.dram.total - this.#writer.backlog)
  }

  #promote({ wants, ticket }: Sequence): void {
    for (let block = wants.next(); block; block = wants.next()) {
      const waiter: ReadWaiter = { promoted: () => wants.readEnded(), lost: () => wants.readEnded() }
      if (!this.#reads.join(block, waiter) && !this.#start(wants, ticket, block, waiter)) return
      wants.readBegan()
    }
  }

  #start(wants: Wants, ticket: number, block: Block, waiter: ReadWaiter): boolean {
    const isFew = lacksFew(wants)
    if (!this.#reads.hasRoomAhead(isFew)) return false
    // Nothing that this request or an older one wants is given up for it.
    const dram = this.#take('dram', other => other.firstWanted > ticket)
    wants.foundRoom(dram !== null)
    if (!dram) return false
    this.#reads.startAhead(block, dram, { promoted: () => this.#fetched(block), lost: () => {} }, isFew)
    return this.#reads.join(block, waiter)
  }

  #fetched(block: Block): void {
    this.#core.counters.prefetchedBlocks++
    this.#ledger.fetched(block)
  }

  /** dram → hbm for as much of the history as computing the new tokens would not hide. */
  #buffer(sequence: Sequence): void {
    const { engine, costs } = this.#core
    const { blockBytes } = engine.info
    const history = sequence.wants.blocks.filter(block => !block.gone && block.valid === BLOCK_TOKENS)
    const newTokens = sequence.tokens.length - history.length * BLOCK_TOKENS
    const bytes = readBufferBytes({
      loadMs: costs.loadMs(history.length * blockBytes),
      prefillMs: costs.prefillMs(newTokens),
      bytes: history.length * blockBytes,
    })
    for (const block of history.slice(0, Math.ceil(bytes / blockBytes))) {
      if (block.copies.hbm.state !== 'absent' || !block.has('dram')) continue
      const hbm = this.#take('hbm', other => other.wants === 0)
      if (!hbm) return
      this.#core.counters.bufferedBlocks++
      this.#loader.loadAhead(block, hbm)
    }
  }

  /** Walking a tier in vain again before it changes would be in vain too. */
  #take(tier: 'hbm' | 'dram', mayTake: (block: Block) => boolean): Reservation | null {
    const pool = this.#core.directory.pools[tier]
    if (pool.free === 0 && this.#refusedAt[tier] === pool.version) return null
    const taken = this.#room.take(tier, { for: 'later', mayTake })
    if (!taken) this.#refusedAt[tier] = pool.version
    return taken
  }
}

function lacksFew({ missing }: Wants): boolean {
  return missing <= FEW_BLOCKS
}
