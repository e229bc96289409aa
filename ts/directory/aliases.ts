// Conversations that began beyond their window: from a key of the whole history to the epoch in which they began. Losing
// one costs speed, never correctness.

import type { BlockKey, ViewParameters } from '../engine/types.js'
import type { Table } from './database.js'
import type { StoredRecord } from './packed-records.js'

/** Most records; the least recently renewed go first. */
export const MOST_ALIASES = 65_536
/** epoch (u32), last renewal (f64, milliseconds); then the conversation in UTF-8. */
const HEAD_BYTES = 12

interface Alias {
  readonly epoch: number
  readonly renewedAt: number
  /** Whose it is: the name that an erasure gives. */
  readonly conversation: string
}

export class Aliases {
  readonly #aliases = new Map<string, Alias>()
  readonly #table: Table | null
  readonly #now: () => number
  readonly #most: number

  /** `table` null: in memory only. */
  constructor(table: Table | null, now: () => number, most: number = MOST_ALIASES) {
    this.#table = table
    this.#now = now
    this.#most = most
    const stored: Array<readonly [string, Alias]> = []
    for (const { key, value } of table?.entries() ?? []) {
      const alias = decode(value)
      if (alias) stored.push([Buffer.from(key).toString('latin1'), alias])
      else table?.remove(key)
    }
    stored.sort(([, a], [, b]) => a.renewedAt - b.renewedAt)
    for (const [name, alias] of stored) this.#aliases.set(name, alias)
    this.#trim()
  }

  get size(): number {
    return this.#aliases.size
  }

  /** All that the table holds. */
  *records(): Iterable<StoredRecord> {
    for (const [name, alias] of [...this.#aliases]) yield { key: Buffer.from(name, 'latin1'), value: encode(alias) }
  }

  /** The epoch in which the conversation with the longest known part of this chain began; null: none is known. */
  find(keys: readonly BlockKey[], view: ViewParameters): number | null {
    for (const key of keys.toReversed()) {
      const alias = this.#aliases.get(nameOf(key, view))
      if (alias) return alias.epoch
    }
    return null
  }

  put(key: BlockKey, view: ViewParameters, epoch: number, conversation: string): void {
    const name = nameOf(key, view)
    const alias = { epoch, renewedAt: this.#now(), conversation }
    this.#aliases.delete(name)
    this.#aliases.set(name, alias)
    this.#table?.put(Buffer.from(name, 'latin1'), encode(alias))
    this.#trim()
  }

  /** Forgets those of a conversation. */
  erase(conversation: string): void {
    for (const [name, alias] of this.#aliases) if (alias.conversation === conversation) this.#forget(name)
  }

  #trim(): void {
    for (const name of this.#aliases.keys()) {
      if (this.#aliases.size <= this.#most) return
      this.#forget(name)
    }
  }

  #forget(name: string): void {
    this.#aliases.delete(name)
    this.#table?.remove(Buffer.from(name, 'latin1'))
  }
}

/** Keys of blocks before the window do not say which view they are seen with. */
function nameOf(key: BlockKey, { window, head, step }: ViewParameters): string {
  const view = Buffer.alloc(12)
  view.writeUInt32LE(window, 0)
  view.writeUInt32LE(head, 4)
  view.writeUInt32LE(step, 8)
  return key + view.toString('latin1')
}

function encode({ epoch, renewedAt, conversation }: Alias): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt32LE(epoch, 0)
  head.writeDoubleLE(renewedAt, 4)
  return Buffer.concat([head, Buffer.from(conversation, 'utf8')])
}

/** null: not a record of this layout. */
function decode(value: Uint8Array): Alias | null {
  if (value.length < HEAD_BYTES) return null
  const bytes = Buffer.from(value)
  const epoch = bytes.readUInt32LE(0)
  return epoch > 0 ? { epoch, renewedAt: bytes.readDoubleLE(4), conversation: bytes.toString('utf8', HEAD_BYTES) } : null
}
