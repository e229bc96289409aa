// The two ways of addressing, under one contract: the ssd tier of an engine, whose slots a directory allots, and a
// key-addressed tier beside an engine.

import { Directory } from '../../ts/directory/directory.js'
import { BLOCK_TOKENS, type BlockKey, type Engine } from '../../ts/engine/types.js'
import type { KeyedTier } from '../../ts/engine/keyed-tier.js'
import { EngineDriver, written } from './driver.js'
import type { Placed, TestedTier } from './tier.js'

const TOKENS = new Uint32Array(BLOCK_TOKENS)

export class SlotTier implements TestedTier {
  readonly driver: EngineDriver
  readonly #directory: Directory

  constructor(engine: Engine) {
    this.driver = new EngineDriver(engine)
    this.#directory = new Directory(engine.info.slots, { committed: engine.info.committed })
  }

  get capacity(): number {
    return this.#directory.pools.ssd.total
  }

  async put({ key, dramSlot }: Placed): Promise<string | undefined> {
    const slot = this.#directory.reserve('ssd')
    if (!slot) return 'full'
    const block = this.#directory.obtain(key, '', 0, TOKENS)
    slot.become(block, 'filling')
    const { error } = await this.driver.transfer({ kind: 'write', dramSlot, ssdSlot: slot.slot, block: written(key) })
    const flushed = await this.driver.transfer({ kind: 'flush' })
    if (error === undefined) this.#directory.complete(block, 'ssd')
    else this.#directory.removeCopy(block, 'ssd')
    return error ?? flushed.error
  }

  async get({ key, dramSlot }: Placed): Promise<string | undefined> {
    const ssdSlot = this.#slotOf(key)
    if (ssdSlot === null) return 'absent'
    return (await this.driver.transfer({ kind: 'read', ssdSlot, dramSlot, key, valid: BLOCK_TOKENS })).error
  }

  async has(keys: readonly BlockKey[]): Promise<readonly boolean[]> {
    return keys.map(key => this.#slotOf(key) !== null)
  }

  async delete(keys: readonly BlockKey[]): Promise<void> {
    for (const key of keys) {
      const block = this.#directory.blocks.get(key)
      const slot = block && this.#directory.withdraw(block)
      if (!slot) continue
      await this.driver.transfer({ kind: 'erase', ssdSlot: slot.slot })
      slot.dispose()
    }
    this.#directory.checkIntegrity()
  }

  /** As after a crash: the slot was given to another block, and the record of the first one is still there. */
  async damage({ key, dramSlot }: Placed): Promise<void> {
    const ssdSlot = this.#slotOf(key) as number
    await this.driver.transfer({ kind: 'write', dramSlot, ssdSlot, block: written(`${key.slice(1)}x`) })
  }

  async close(): Promise<void> {
    await this.driver.engine.close()
  }

  /** null: the directory finds no complete copy. */
  #slotOf(key: BlockKey): number | null {
    const block = this.#directory.blocks.get(key)
    return block?.has('ssd') ? block.copies.ssd.slot : null
  }
}

export class KeyedTierOnEngine implements TestedTier {
  readonly driver: EngineDriver
  readonly #tier: KeyedTier
  readonly #damage: (key: BlockKey) => void

  constructor(engine: Engine, tier: KeyedTier, damage: (key: BlockKey) => void) {
    this.driver = new EngineDriver(engine)
    this.#tier = tier
    this.#damage = damage
  }

  get capacity(): number {
    return this.#tier.capacity
  }

  async put({ key, dramSlot }: Placed): Promise<string | undefined> {
    return (await this.#tier.put(key, dramSlot)).error
  }

  async get({ key, dramSlot }: Placed): Promise<string | undefined> {
    return (await this.#tier.get(key, dramSlot)).error
  }

  has(keys: readonly BlockKey[]): Promise<readonly boolean[]> {
    return this.#tier.has(keys)
  }

  delete(keys: readonly BlockKey[]): Promise<void> {
    return this.#tier.delete(keys)
  }

  async damage({ key }: Placed): Promise<void> {
    this.#damage(key)
  }

  async close(): Promise<void> {
    await this.driver.engine.close()
  }
}
