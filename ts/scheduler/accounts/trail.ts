// The times of one request: when it waited, when its blocks moved, when it was computed. Transfers are noted
// by block, because what moves a block need not know for whom: a block that a request uses brings the times at which it
// was read and loaded, and the ones that a request fills report their saves and writes to it, also after its end.

import type { Block } from '../../directory/block.js'
import type { DownLane, UpLane } from '../../protocol/lanes.js'
import type { Owner, RequestPhases } from '../../protocol/index.js'
import { Spans, type Interval } from './spans.js'

export type Phase = keyof RequestPhases

export class Trail {
  readonly #spans: Record<Phase, Spans> = {
    queued: new Spans(),
    read: new Spans(),
    load: new Spans(),
    prefill: new Spans(),
    decode: new Spans(),
    save: new Spans(),
    write: new Spans(),
  }
  /** Told of what is added after the request has ended. */
  onLate: (() => void) | null = null

  constructor(readonly owner: Owner) {}

  add(phase: Phase, from: number, to: number): void {
    this.#spans[phase].add(from, to)
    this.onLate?.()
  }

  /** Relative to the acceptance of the request. */
  phases(acceptedAt: number): RequestPhases {
    const { queued, read, load, prefill, decode, save, write } = this.#spans
    const of = (spans: Spans): Interval[] => spans.since(acceptedAt)
    return {
      queued: of(queued),
      read: of(read),
      load: of(load),
      prefill: of(prefill),
      decode: of(decode),
      save: of(save),
      write: of(write),
    }
  }
}

export class Journal {
  readonly #now: () => number
  /** Whose computation filled the block; forgotten once it is where it shall be. */
  readonly #fillers = new WeakMap<Block, Trail>()
  readonly #owners = new WeakMap<Block, Owner>()
  readonly #lastMoves: Readonly<Record<UpLane, WeakMap<Block, Interval>>> = { read: new WeakMap<Block, Interval>(), load: new WeakMap<Block, Interval>() }

  constructor(now: () => number) {
    this.#now = now
  }

  /** A read or load of the block has just ended after `ms`. */
  arrived(phase: UpLane, block: Block, ms: number): void {
    const now = this.#now()
    this.#lastMoves[phase].set(block, [now - ms, now])
  }

  /** The request uses the block, and waits for it if it is still under way. */
  used(trail: Trail, block: Block): void {
    for (const phase of ['read', 'load'] as const) {
      const move = this.#lastMoves[phase].get(block)
      if (move) trail.add(phase, ...move)
    }
  }

  filled(trail: Trail, block: Block): void {
    this.#fillers.set(block, trail)
    this.taken(trail, block)
  }

  /** The request's conversation is the last that used the block. */
  taken(trail: Trail, block: Block): void {
    this.#owners.set(block, trail.owner)
  }

  /** Forgets that the conversation used the blocks. */
  disown(blocks: Iterable<Block>, { tenant, conversation }: Owner): void {
    for (const block of blocks) {
      const owner = this.#owners.get(block)
      if (owner?.conversation === conversation && owner.tenant === tenant) this.#owners.delete(block)
    }
  }

  /** The conversation that used the block last; undefined: none since the start. */
  ownerOf(block: Block): Owner | undefined {
    return this.#owners.get(block)
  }

  /** A save or write of the block has just ended after `ms`; after the last of them its filler is forgotten. */
  left(phase: DownLane, block: Block, ms: number, isLast: boolean): void {
    const now = this.#now()
    this.#fillers.get(block)?.add(phase, now - ms, now)
    if (isLast) this.#fillers.delete(block)
  }
}
