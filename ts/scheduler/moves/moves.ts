// Blocks between tiers: all that the step loop and the service ask for, whichever part does it. Each part is made from
// those before it; what a part has to tell the others goes over the events.

import type { Block } from '../../directory/block.js'
import type { BlockStore } from '../../directory/store.js'
import { PrefetchLedger } from '../accounts/prefetch-ledger.js'
import type { Core } from '../core/core.js'
import { HistoryChooser } from '../costs/chooser.js'
import type { LookAhead } from '../costs/look-ahead.js'
import type { Traffic } from '../costs/traffic.js'
import type { Sequence } from '../sequence/sequence.js'
import { Acquirer } from './acquire.js'
import { FrontRunner } from './front-runner.js'
import { Fetcher } from './keyed/fetcher.js'
import { Putter } from './keyed/putter.js'
import { Loader } from './loader.js'
import { Prefetcher } from './prefetcher.js'
import { Publisher, type Publication } from './publisher.js'
import { Reads } from './reads.js'
import { Room } from './room.js'
import { Saver } from './saver.js'
import { Scrubber } from './scrubber.js'
import { Warmer } from './warmer.js'
import { Writer } from './writer.js'

export class Moves {
  readonly room: Room
  readonly saver: Saver
  readonly prefetcher: Prefetcher
  readonly prefetches = new PrefetchLedger()
  readonly warmer: Warmer
  readonly #core: Core
  readonly #writer: Writer
  readonly #reads: Reads
  readonly #loader: Loader
  readonly #acquirer: Acquirer
  readonly #fronts: FrontRunner
  /** The key-addressed tier; null: there is none. */
  readonly #keyed: { readonly fetcher: Fetcher; readonly putter: Putter } | null
  readonly #publisher: Publisher
  readonly #scrubber: Scrubber

  /** @param store Names what is durable; null: nothing is kept. */
  constructor(core: Core, store: BlockStore | null, traffic: Traffic, lookAhead: LookAhead) {
    this.#core = core
    const room = new Room(core)
    const writer = new Writer(core, room, store)
    const reads = new Reads(core, room)
    const loader = new Loader(core, reads, block => writer.want(block))
    const chooser = new HistoryChooser(core.options.history, core.costs, traffic, () => reads.backlog)
    this.room = room
    this.saver = new Saver(core, room, writer)
    this.prefetcher = new Prefetcher(core, { room, reads, loader, lookAhead, writer, chooser, ledger: this.prefetches })
    this.warmer = new Warmer(core, room, reads, loader)
    this.#writer = writer
    this.#reads = reads
    this.#loader = loader
    this.#acquirer = new Acquirer(core, room, loader, chooser)
    this.#fronts = new FrontRunner(core, reads, loader, traffic)
    const { keyed } = core
    this.#keyed = keyed && { fetcher: new Fetcher(core, keyed, room, block => this.lower(block)), putter: new Putter(core, keyed) }
    this.#publisher = new Publisher(core, room)
    this.#scrubber = new Scrubber(core)
  }

  /** Nothing moves, and nothing is about to. */
  get isIdle(): boolean {
    const isKeyedIdle = this.#keyed?.putter.isIdle ?? true
    return this.saver.isIdle && this.#writer.isIdle && this.#reads.isIdle && this.#loader.isIdle && isKeyedIdle && this.inFlight === 0
  }

  /** Transfers under way: something will be reported. */
  get inFlight(): number {
    return this.#core.desk.inFlight + (this.#core.keyed?.inFlight ?? 0)
  }

  /** Waiting requests of which the key-addressed tier has still to tell: something will be reported too. */
  get holding(): number {
    return this.#keyed?.fetcher.holding ?? 0
  }

  /** The key-addressed tier has not told yet, or not brought yet, the blocks that a waiting request would use; bounded. */
  isHeld(sequence: Sequence): boolean {
    return this.#keyed?.fetcher.isHeld(sequence) ?? false
  }

  /** Nothing that can be had soon is missing for a waiting request. */
  isReady(sequence: Sequence): boolean {
    return this.prefetcher.isReady(sequence)
  }

  /** Marks what a waiting sequence will want. */
  noteWants(sequence: Sequence): void {
    this.#acquirer.noteWants(sequence)
  }

  /** Asks the key-addressed tier for the blocks that a sequence would want and that no slot holds. The sequence has just come. */
  seek(sequence: Sequence): void {
    const again = (): void => {
      sequence.unwant()
      this.noteWants(sequence)
    }
    this.#keyed?.fetcher.begin(sequence, existenceOf => this.#acquirer.elsewhere(sequence, existenceOf), again)
  }

  /** Gives a sequence its blocks and leaves `reserve` slots of hbm; false: there is no room, and nothing has changed. */
  acquire(sequence: Sequence, reserve: number): boolean {
    return this.#acquirer.acquire(sequence, reserve)
  }

  /** A sequence whose front is computed while its back is read goes on. */
  advanceFront(sequence: Sequence): void {
    this.#fronts.advance(sequence)
  }

  /** The last, partly filled block of a computed prompt is copied for others; `published` runs when they find it. */
  publishTail(sequence: Sequence, published: () => void): Publication {
    return this.#publisher.publishTail(sequence, published)
  }

  /** Starts what may start downwards: saves and writes. Before anything is evicted: what is saved need not be lost. */
  pumpDown(): void {
    this.saver.pump()
    this.#writer.pump()
    this.#keyed?.putter.pump()
  }

  /** Starts what may start upwards: reads, and what requests that wait will need. */
  pumpUp(waiting: Iterable<Sequence>): void {
    this.#reads.pump()
    this.prefetcher.pump(waiting)
  }

  /** Sees to it that a block reaches every tier below it. */
  lower(block: Block): void {
    this.saver.want(block)
    this.#writer.want(block)
  }

  /** Writes are flushed at every chance, until each caller has called the function that it got. */
  hurry(): () => void {
    return this.#writer.hurry()
  }

  /** Nothing is looked at again later. */
  close(): void {
    this.#writer.close()
    this.#fronts.close()
    this.#scrubber.close()
    this.#keyed?.fetcher.close()
  }
}
