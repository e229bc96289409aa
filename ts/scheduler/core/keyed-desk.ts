// The calls to a key-addressed tier: the slots that they name are pinned, and their ends are told as news.

import type { Directory } from '../../directory/directory.js'
import type { Block } from '../../directory/block.js'
import { KeyedRemains } from '../../directory/keyed-remains.js'
import type { KeyedEnd, KeyedTier } from '../../engine/keyed-tier.js'
import { BLOCK_TOKENS, type BlockKey } from '../../engine/types.js'
import type { Counters } from '../accounts/counters.js'
import type { EventBus } from './events.js'

/** Told how a put or get ended: the error code, undefined: well. */
type Ended = (error: string | undefined) => void

export interface KeyedDeskParts {
  readonly tier: KeyedTier
  readonly directory: Directory
  readonly counters: Counters
  readonly events: EventBus
}

export class KeyedDesk {
  readonly #parts: KeyedDeskParts
  /** Puts under way, by key. */
  readonly #puts = new Map<BlockKey, Promise<unknown>>()
  readonly #remains: KeyedRemains
  #inFlight = 0

  constructor(parts: KeyedDeskParts) {
    this.#parts = parts
    this.#remains = new KeyedRemains(parts.tier.capacity)
  }

  /** Puts and gets under way. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** `ended` gets the answers in the order of `keys`; null: nothing can be said. */
  ask(keys: readonly BlockKey[], ended: (answers: readonly boolean[] | null) => void): void {
    this.#news(() => this.#parts.tier.has(keys), answers => ended(answers))
  }

  get(key: BlockKey, dramSlot: number, ended: Ended): void {
    this.#move(dramSlot, () => this.#parts.tier.get(key, dramSlot), ended)
  }

  put(key: BlockKey, dramSlot: number, ended: Ended): void {
    const put = new Promise<void>(resolve => {
      this.#move(dramSlot, () => this.#parts.tier.put(key, dramSlot), error => {
        if (this.#puts.get(key) === put) this.#puts.delete(key)
        resolve()
        ended(error)
      })
    })
    this.#puts.set(key, put)
  }

  /** The block leaves the directory: the tier may still have it. */
  leaving(block: Block): void {
    if (block.valid === BLOCK_TOKENS) this.#remains.left(block.key, this.#parts.directory.usersOf(block))
  }

  /** Blocks that the conversation alone used, that have left the directory, and that the tier may still have. */
  remainsOf(conversation: string): BlockKey[] {
    return this.#remains.take(conversation).filter(key => !this.#parts.directory.blocks.has(key))
  }

  /** Resolves when none of the blocks can be found in the tier, also not by a put that is under way now. */
  async delete(keys: readonly BlockKey[]): Promise<void> {
    if (keys.length === 0) return
    await Promise.all(keys.map(key => this.#puts.get(key)))
    await this.#parts.tier.delete(keys)
  }

  #move(dramSlot: number, call: () => Promise<KeyedEnd>, ended: Ended): void {
    const { dram } = this.#parts.directory.pools
    dram.pin(dramSlot)
    this.#inFlight++
    this.#news(call, end => {
      this.#inFlight--
      dram.unpin(dramSlot)
      const error = end === null ? 'tier_failed' : end.error
      if (error !== undefined && error !== 'absent') this.#parts.counters.keyed.failed++
      ended(error)
    })
  }

  /** `handle` gets the value, or null where the call threw or rejected. */
  #news<T>(call: () => Promise<T>, handle: (value: T | null) => void): void {
    const { events } = this.#parts
    const value = new Promise<T>(resolve => resolve(call())).catch(() => null)
    value.then(found => events.emit('keyedNews', () => handle(found))).catch((thrown: unknown) => events.emit('brokeOff', thrown))
  }
}
