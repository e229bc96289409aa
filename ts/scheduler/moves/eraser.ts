// Erasure: blocks vanish from the directory at once, in all tiers; then their ssd slots are overwritten and flushed, so
// that the bytes are not found on the disk either; with them the slots that they left earlier and no block has used since. A
// slot is given back when its zeros are flushed. The key-addressed tier deletes them.

import type { Block } from '../../directory/block.js'
import type { ForeignBlocks, ForeignSlot } from '../../directory/foreign-blocks.js'
import type { Reservation } from '../../directory/reservation.js'
import type { BlockKey } from '../../engine/types.js'
import { perTier, SLOT_TIERS, TIERS, type TierName } from '../../protocol/tiers.js'
import { ApiError } from '../../protocol/errors.js'
import type { Core } from '../core/core.js'

/** Overwritten at once: each holds a buffer of zeros as long as a slot. */
const MOST_OVERWRITES = 8

/** The extent of an erasure. */
export interface Erased {
  readonly blocks: number
  /** Of all copies. */
  readonly bytes: number
  readonly copies: Readonly<Record<TierName, number>>
  /** Slots of the ssd tier that held blocks which had been given up before, and those of other models' blocks. */
  readonly remains: number
}

export class Eraser {
  readonly #core: Core
  readonly #foreign: ForeignBlocks | null
  /** Resolves at the next end of a step or transfer. */
  readonly #nextChange: () => Promise<void>

  /** @param foreign Blocks of other models on the ssd; null: none are known. */
  constructor(core: Core, foreign: ForeignBlocks | null, nextChange: () => Promise<void>) {
    this.#core = core
    this.#foreign = foreign
    this.#nextChange = nextChange
  }

  /**
   * Takes blocks, none of which a sequence uses, out of sight before it returns; the promise ends when nothing of them
   * can be read from the disk, nor what else the conversation left there. Rejects with `engine_error` if the disk could
   * not be overwritten.
   */
  erase(conversation: string, blocks: Iterable<Block>): Promise<Erased> {
    const { directory, counters, engine } = this.#core
    const copies = perTier(() => 0)
    const left = new Set(directory.remains.of(conversation))
    const foreign = this.#foreign?.solelyOf(conversation) ?? []
    const keyed = this.#core.keyed?.remainsOf(conversation) ?? []
    const slots: Reservation[] = []
    const keys: BlockKey[] = []
    for (const block of blocks) {
      for (const tier of SLOT_TIERS) if (block.copies[tier].state !== 'absent') copies[tier]++
      const slot = directory.withdraw(block)
      if (slot) slots.push(slot)
      keys.push(block.key)
    }
    // These are overwritten in any case, whatever they held before.
    for (const { slot } of slots) left.delete(slot)
    const erased = keys.length
    counters.dropped.erased += erased
    const bytes = SLOT_TIERS.reduce((sum, tier) => sum + copies[tier] * engine.info[TIERS[tier].blockBytes], 0)
    directory.ghosts.erase(conversation)
    for (const slot of foreign) this.#foreign?.erasing(slot)
    return this.#removeAll(slots, left, foreign, [...keys, ...keyed], conversation).then(remains => ({ blocks: erased, bytes, copies, remains }))
  }

  /** Also where the disk fails, the key-addressed tier is told; the first failure is the one that is thrown. */
  async #removeAll(
    slots: readonly Reservation[],
    left: Set<number>,
    foreign: readonly ForeignSlot[],
    keys: readonly BlockKey[],
    conversation: string,
  ): Promise<number> {
    const [overwritten, others, deleted] = await Promise.allSettled([
      this.#overwrite(slots, left, conversation),
      this.#overwriteForeign(foreign),
      this.#core.keyed?.delete(keys),
    ])
    if (overwritten.status === 'rejected') throw overwritten.reason
    if (others.status === 'rejected') throw others.reason
    if (deleted.status === 'fulfilled') return overwritten.value + foreign.length
    const message = `The blocks are gone from the directory, but the key-addressed tier failed to delete ${keys.length} of them.`
    throw new ApiError('engine_error', message, null, { failed: keys.length, engine_code: 'tier_failed' })
  }

  /**
   * A slot waits until nothing in flight names it any more. One of the `left` ones may be in use again: it is done with
   * when that write is flushed. Overwritten slots are flushed, and so given back, before any other is waited for: that
   * other one may be held by an erasure that waits for these. Answers how many of the `left` ones had to be overwritten.
   */
  async #overwrite(slots: readonly Reservation[], left: Set<number>, conversation: string): Promise<number> {
    const { directory, flushes, desk } = this.#core
    const { failures } = flushes
    const waiting = new Set(slots)
    const failed: string[] = []
    let overwritten: Reservation[] = []
    let unflushed: string | undefined
    let remains = 0
    let inFlight = 0
    for (;;) {
      for (const slot of this.#claim(left, conversation)) {
        waiting.add(slot)
        remains++
      }
      for (const slot of waiting) {
        if (inFlight >= MOST_OVERWRITES) break
        if (!directory.pools.ssd.isIdle(slot.slot)) continue
        waiting.delete(slot)
        inFlight++
        this.#send(slot, error => {
          inFlight--
          if (error === undefined) overwritten.push(slot)
          else failed.push(error)
        })
      }
      desk.flush()
      const isWriting = waiting.size + inFlight > 0
      if (!isWriting && overwritten.length + left.size === 0) break
      if (isWriting || overwritten.length === 0) {
        await this.#nextChange()
        continue
      }
      unflushed = await this.#flush(overwritten, failures)
      if (unflushed !== undefined) break
      overwritten = []
    }
    if (unflushed === undefined && directory.remains.awaitsFlush(conversation)) unflushed = await this.#flush([], failures)
    const error = failed[0] ?? unflushed
    if (error === undefined) return remains
    const lost = failed.length + (unflushed === undefined ? 0 : overwritten.length)
    const message = `The blocks are gone from the directory, but the disk failed to overwrite ${lost} of ${slots.length + remains} slots.`
    throw new ApiError('engine_error', message, null, { failed: lost, engine_code: error })
  }

  /** Each is durable when its transfer ends. */
  async #overwriteForeign(slots: readonly ForeignSlot[]): Promise<void> {
    const { desk } = this.#core
    const failed: string[] = []
    let inFlight = slots.length
    for (const slot of slots) {
      desk.send({ kind: 'erase_foreign', ...slot }, ({ error }) => {
        inFlight--
        if (error === undefined) this.#foreign?.erased(slot)
        else failed.push(error)
      })
    }
    desk.flush()
    while (inFlight > 0) await this.#nextChange()
    const [code] = failed
    if (code === undefined) return
    const message = `The blocks are gone from the directory, but the disk failed to overwrite ${failed.length} of ${slots.length} slots of other models.`
    throw new ApiError('engine_error', message, null, { failed: failed.length, engine_code: code })
  }

  /** Reserves those of the slots that are free, and lets go of those that hold nothing of the conversation any more. */
  #claim(left: Set<number>, conversation: string): readonly Reservation[] {
    const { directory } = this.#core
    for (const slot of left) if (!directory.remains.has(slot, conversation)) left.delete(slot)
    const claimed = directory.reserveFree('ssd', left)
    for (const { slot } of claimed) left.delete(slot)
    return claimed
  }

  /** A slot that was written stays reserved until that is flushed; what it held is remembered as long. */
  #send(own: Reservation, ended: (error: string | undefined) => void): void {
    const { directory, desk } = this.#core
    const { slot } = own
    directory.pools.ssd.pin(slot)
    desk.send({ kind: 'erase', ssdSlot: slot }, done => {
      directory.pools.ssd.unpin(slot)
      if (done.error !== undefined) own.dispose()
      ended(done.error)
    })
  }

  /** Answers the error code. `failures`: failed flushes before the first of the slots was written. */
  async #flush(slots: readonly Reservation[], failures: number): Promise<string | undefined> {
    const { directory, desk, flushes } = this.#core
    const flush: { isDone: boolean; error?: string } = { isDone: false }
    flushes.send(errorSince => {
      const error = errorSince(failures)
      for (const slot of slots) {
        if (error === undefined) directory.remains.overwritten(slot.slot)
        slot.dispose()
      }
      Object.assign(flush, { isDone: true, error })
    })
    desk.flush()
    while (!flush.isDone) await this.#nextChange()
    return flush.error
  }
}
