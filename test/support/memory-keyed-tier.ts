// A key-addressed tier in memory: what several simulated engines share, as servers share an object store.

import type { Clock } from '../../ts/engine/clock.js'
import type { KeyedEnd, KeyedTier } from '../../ts/engine/keyed-tier.js'
import type { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { mix } from '../../ts/engine/simulated/content.js'
import type { HostSlot } from '../../ts/engine/simulated/transfers.js'
import type { BlockKey } from '../../ts/engine/types.js'

interface Stored extends HostSlot {
  readonly checksum: number
}

/** The objects; they outlive the engines. */
export class MemoryPool {
  readonly #blocks = new Map<BlockKey, Stored>()
  readonly capacity: number

  /** @param bytes The most that it holds, in whole blocks. */
  constructor(bytes: number, blockBytes: number) {
    this.capacity = Math.floor(bytes / blockBytes)
  }

  get keys(): readonly BlockKey[] {
    return [...this.#blocks.keys()]
  }

  has(key: BlockKey): boolean {
    return this.#blocks.has(key)
  }

  /** The block that came first makes room. False: there is room for none. */
  put(key: BlockKey, { rows, valid }: HostSlot): boolean {
    if (this.capacity === 0) return false
    this.#blocks.delete(key)
    const [oldest] = this.#blocks.size >= this.capacity ? this.#blocks.keys() : []
    if (oldest !== undefined) this.#blocks.delete(oldest)
    this.#blocks.set(key, { rows: rows.slice(), valid, checksum: checksumOf(key, rows) })
    return true
  }

  /** null: its bytes are not the block. */
  get(key: BlockKey): HostSlot | null | undefined {
    const stored = this.#blocks.get(key)
    if (!stored) return undefined
    return stored.checksum === checksumOf(key, stored.rows) ? { rows: stored.rows.slice(), valid: stored.valid } : null
  }

  delete(key: BlockKey): void {
    this.#blocks.delete(key)
  }

  /** One bit of the block's bytes is another. */
  damage(key: BlockKey): void {
    const stored = this.#blocks.get(key)
    if (!stored) throw new Error('there is no such block to damage')
    stored.rows[7] = (stored.rows[7] as number) ^ 1
  }
}

/** Milliseconds that each kind of call takes; Infinity: it never ends. */
export type Delays = Readonly<Partial<Record<'has' | 'put' | 'get' | 'delete', () => number>>>
/** Asked at the end of a call: an error code makes it fail. */
export type KeyedFaults = Readonly<Partial<Record<'has' | 'put' | 'get' | 'delete', () => string | undefined>>>

export interface PoolSetting {
  readonly delays?: Delays
  readonly faults?: KeyedFaults
}

/** A pool as the tier of one engine. */
export class MemoryKeyedTier implements KeyedTier {
  readonly #pool: MemoryPool
  readonly #engine: SimulatedEngine
  readonly #clock: Clock
  readonly #setting: PoolSetting
  /** How often each call was made. */
  readonly calls = { has: 0, put: 0, get: 0, delete: 0 }

  constructor(pool: MemoryPool, engine: SimulatedEngine, clock: Clock, setting: PoolSetting = {}) {
    this.#pool = pool
    this.#engine = engine
    this.#clock = clock
    this.#setting = setting
  }

  get capacity(): number {
    return this.#pool.capacity
  }

  has(keys: readonly BlockKey[]): Promise<readonly boolean[]> {
    return this.#after('has', error => {
      if (error !== undefined) throw new Error(error)
      return keys.map(key => this.#pool.has(key))
    })
  }

  put(key: BlockKey, dramSlot: number): Promise<KeyedEnd> {
    const { end, ...content } = this.#engine.host.readHost(dramSlot)
    return this.#after('put', error => {
      end()
      if (error !== undefined) return { error }
      return this.#pool.put(key, content) ? {} : { error: 'full' }
    })
  }

  get(key: BlockKey, dramSlot: number): Promise<KeyedEnd> {
    const { end } = this.#engine.host.writeHost(dramSlot)
    return this.#after('get', error => {
      const stored = error === undefined ? this.#pool.get(key) : null
      end(stored ?? undefined)
      if (stored) return {}
      return { error: error ?? (stored === null ? 'kv_damaged' : 'absent') }
    })
  }

  delete(keys: readonly BlockKey[]): Promise<void> {
    return this.#after('delete', error => {
      if (error !== undefined) throw new Error(error)
      for (const key of keys) this.#pool.delete(key)
    })
  }

  #after<T>(call: keyof Delays, act: (error: string | undefined) => T): Promise<T> {
    const { delays = {}, faults = {} } = this.#setting
    this.calls[call]++
    const ms = delays[call]?.() ?? 1
    return new Promise((resolve, reject) => {
      if (ms === Infinity) return
      this.#clock.after(ms, () => {
        try {
          resolve(act(faults[call]?.()))
        } catch (thrown) {
          reject(thrown as Error)
        }
      })
    })
  }
}

function checksumOf(key: BlockKey, rows: Uint32Array): number {
  let sum = 0
  for (let i = 0; i < key.length; i++) sum = mix(sum, key.charCodeAt(i))
  for (const row of rows) sum = mix(sum, row)
  return sum
}
