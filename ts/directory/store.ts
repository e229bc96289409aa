// The ssd tier's entries in the store, one record a slot. A record is written after the block's bytes are flushed, and removed
// when the slot is given up. The two can still disagree after a crash: a slot may have been rewritten before the removal
// of its old record was committed. That is harmless, because every read verifies the header's key, valid length and
// checksum against the record: such an entry is a counted miss.

import { BLOCK_TOKENS, type BlockKey, type ViewParameters } from '../engine/types.js'
import type { Block } from './block.js'
import type { Table } from './database.js'
import type { Directory } from './directory.js'
import type { StoredRecord } from './packed-records.js'
import type { Reservation } from './reservation.js'

const META = Buffer.from('meta')
/** The first byte of the other keys: a slot's number follows. */
const SLOT = 's'.charCodeAt(0)
const KEY_BYTES = 32
/** key, parent, slot, index, view (window, head, step; zeros: none), last use (f64), number of tokens and AWAITED. */
const HEAD_BYTES = 2 * KEY_BYTES + 4 + 4 + 12 + 8 + 2
/** Beside the number of tokens: whoever sent the last turn that used the block expects to come back. */
const AWAITED = 0x8000

interface Entry {
  readonly key: BlockKey
  readonly parent: BlockKey
  readonly slot: number
  readonly index: number
  readonly view: ViewParameters | null
  readonly lastUse: number
  readonly isAwaited: boolean
  readonly tokens: Uint32Array
}

/** What became of the records at opening. */
export interface RestoreReport {
  readonly restored: number
  /** Of another fingerprint: they can never match, and are dropped. */
  readonly foreign: number
  /** Unreadable, or in conflict with another record. */
  readonly damaged: number
}

export class BlockStore {
  readonly #table: Table
  /** As the records say it. */
  readonly #lastUse = new WeakMap<Block, number>()
  #restored: { readonly directory: Directory; readonly mark: Buffer } | null = null

  constructor(table: Table) {
    this.#table = table
  }

  /** Gives every stored block its ssd slot in an empty directory. Records that cannot serve are removed. */
  restore(directory: Directory, fingerprint: string): RestoreReport {
    this.#restored = { directory, mark: Buffer.from(fingerprint) }
    const { entries, report } = this.#read(directory)
    const awaited = new Set<Block>()
    const reserved = new Map(directory.reserveFree('ssd', new Set(entries.keys())).map(own => [own.slot, own]))
    let restored = 0
    for (const [slot, entry] of entries) {
      const own = reserved.get(slot)
      if (!own) continue
      const block = restoreEntry(entry, own, directory)
      if (block) restored++
      else {
        report.damaged++
        this.#table.remove(slotKey(slot))
      }
      if (block && entry.isAwaited) awaited.add(block)
    }
    this.#table.put(META, this.#restored.mark)
    recall(directory, awaited)
    return { restored, ...report }
  }

  /** All that the table holds. */
  *records(): Iterable<StoredRecord> {
    if (!this.#restored) return
    const { directory, mark } = this.#restored
    yield { key: META, value: mark }
    for (const block of [...directory.inTier.ssd]) {
      if (block.durable) yield { key: slotKey(block.copies.ssd.slot), value: encodeEntry(block) }
    }
  }

  /** The entries by slot. The record that says whose they are comes before those of slots. */
  #read(directory: Directory) {
    const slab = new TokenSlab()
    const entries = new Map<number, Entry>()
    const report = { foreign: 0, damaged: 0 }
    let isForeign = true
    for (const { key, value } of this.#table.entries()) {
      if (META.equals(key)) {
        isForeign = !this.#restored?.mark.equals(value)
        continue
      }
      const entry = isForeign ? null : decodeEntry(value, slab)
      if (entry && isUsable(entry, key, directory) && !entries.has(entry.slot)) {
        entries.set(entry.slot, entry)
        continue
      }
      if (isForeign) report.foreign++
      else report.damaged++
      this.#table.remove(key)
    }
    return { entries, report }
  }

  /** The block's ssd copy is durable. */
  put(block: Block): void {
    this.#lastUse.set(block, block.lastUse)
    this.#table.put(slotKey(block.copies.ssd.slot), encodeEntry(block))
  }

  /** Writes the last use of every durable block again, so that it is known after a restart. */
  refresh(blocks: Iterable<Block>): void {
    for (const block of blocks) if (block.durable && this.#lastUse.get(block) !== block.lastUse) this.put(block)
  }

  /** The slot no longer holds a block. */
  removed(slot: number): void {
    this.#table.remove(slotKey(slot))
  }
}

/** Words of one slab: the ids of 256 full blocks. */
const SLAB_WORDS = 256 * BLOCK_TOKENS

/**
 * Token ids of many blocks in one buffer: a million buffers would cost the start seconds. A slab is kept as long as one of
 * its blocks is.
 */
class TokenSlab {
  #words = new Uint32Array()
  #used = 0

  /** Little-endian words, as this machine has them. */
  take(bytes: Buffer): Uint32Array {
    const count = bytes.length / 4
    if (this.#used + count > this.#words.length) {
      this.#words = new Uint32Array(SLAB_WORDS)
      this.#used = 0
    }
    const tokens = this.#words.subarray(this.#used, this.#used + count)
    bytes.copy(Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength))
    this.#used += count
    return tokens
  }
}

/** The slot that a record of this key is about; null: it is about none. */
export function slotOfRecord(key: Uint8Array): number | null {
  return key.length === 5 && key[0] === 's'.charCodeAt(0) ? Buffer.from(key).readUInt32BE(1) : null
}

/** The key of the block that a record of a slot is about. */
export function blockOfRecord(value: Uint8Array): BlockKey {
  return Buffer.from(value.subarray(0, KEY_BYTES)).toString('latin1')
}

export function slotKey(slot: number): Buffer {
  const key = Buffer.alloc(5)
  key[0] = SLOT
  key.writeUInt32BE(slot, 1)
  return key
}

function isUsable(entry: Entry, key: Uint8Array, directory: Directory): boolean {
  return entry.slot < directory.pools.ssd.committed && slotKey(entry.slot).equals(key)
}

/** null: another record has the block already. */
function restoreEntry(entry: Entry, own: Reservation, directory: Directory): Block | null {
  if (directory.blocks.has(entry.key)) {
    own.dispose()
    return null
  }
  const block = directory.obtain(entry.key, entry.parent, entry.index, entry.tokens, entry.view)
  own.become(block, 'present')
  block.durable = true
  block.lastUse = entry.lastUse
  return block
}

/**
 * Placement learns of the blocks in the order of their last use. What one turn used carries one stamp; which of it was new
 * to the turn is not recorded, so all of it counts as that.
 */
function recall(directory: Directory, awaited: ReadonlySet<Block>): void {
  const blocks = [...directory.inTier.ssd].sort((a, b) => a.lastUse - b.lastUse)
  for (let from = 0, to = 0; from < blocks.length; from = to) {
    const { lastUse } = blocks[from] as Block
    while (blocks[to]?.lastUse === lastUse) to++
    const ofTurn = blocks.slice(from, to)
    const newTokens = ofTurn.reduce((sum, { valid }) => sum + valid, 0)
    const retention = ofTurn.some(block => awaited.has(block)) ? 'day' : 'none'
    const turn = directory.policy.begin({ atMs: Math.min(lastUse, directory.now()), newTokens, retention })
    for (const block of ofTurn) turn.used(block, block.valid < BLOCK_TOKENS, true)
  }
}

function encodeEntry(block: Block): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + 4 * block.valid)
  bytes.write(block.key, 0, 'latin1')
  bytes.write(block.parent, KEY_BYTES, 'latin1')
  let at = 2 * KEY_BYTES
  at = bytes.writeUInt32LE(block.copies.ssd.slot, at)
  at = bytes.writeUInt32LE(block.index, at)
  for (const parameter of [block.view?.window, block.view?.head, block.view?.step]) at = bytes.writeUInt32LE(parameter ?? 0, at)
  at = bytes.writeDoubleLE(block.lastUse, at)
  at = bytes.writeUInt16LE(block.valid | (block.cohort?.isAwaited ? AWAITED : 0), at)
  for (const token of block.tokens) at = bytes.writeUInt32LE(token, at)
  return bytes
}

function decodeView(bytes: Buffer, at: number): ViewParameters | null {
  const [window, head, step] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4), bytes.readUInt32LE(at + 8)]
  return window === 0 ? null : { window, head, step }
}

/** null: not a record of this layout. */
function decodeEntry(value: Uint8Array, slab: TokenSlab): Entry | null {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (bytes.length < HEAD_BYTES) return null
  const countAndHint = bytes.readUInt16LE(HEAD_BYTES - 2)
  const count = countAndHint & ~AWAITED
  if (count < 1 || count > BLOCK_TOKENS || bytes.length !== HEAD_BYTES + 4 * count) return null
  return {
    key: bytes.toString('latin1', 0, KEY_BYTES),
    parent: bytes.toString('latin1', KEY_BYTES, 2 * KEY_BYTES),
    slot: bytes.readUInt32LE(2 * KEY_BYTES),
    index: bytes.readUInt32LE(2 * KEY_BYTES + 4),
    view: decodeView(bytes, 2 * KEY_BYTES + 8),
    lastUse: bytes.readDoubleLE(2 * KEY_BYTES + 20),
    isAwaited: (countAndHint & AWAITED) !== 0,
    tokens: slab.take(bytes.subarray(HEAD_BYTES)),
  }
}
