// The packed form in which plans go to Rust and events come back: little-endian 32-bit words.
// `crates/engine/src/wire.rs` is the other half.

import type {
  BlockKey,
  EngineEvent,
  EngineFailed,
  FinishReason,
  RowResult,
  StepPlan,
  StepReply,
  TokenLogprob,
  Transfer,
  TransferDone,
} from '../types.js'

const TRANSFER_WORDS = 13
const TRANSFER_KINDS = { load: 0, save: 1, read: 2, write: 3, copy: 4, flush: 5, erase: 6 } as const
/** By number; the first three differ in what the stop was. */
const FINISH_REASONS: readonly FinishReason[] = ['stop', 'stop', 'stop', 'length', 'none_allowed', 'constraint_failed']
const ROW_STATUS = ['ok', 'noop', 'void', 'late'] as const
const HAS_TOKEN = 1 << 2
const HAS_LOGPROB = 1 << 3
const HAS_FINISH = 1 << 4
const HAS_TAIL_KEY = 1 << 5
const KEY_BYTES = 32

/** Writes plans and transfers into one reused array of words; what it returns is valid until the next call. */
export class WireWriter {
  #words = new Uint32Array(1024)

  plan(plan: StepPlan): Uint32Array {
    const { resets, tables, rows, saves } = plan
    const words = this.#reserve(5 + resets.length + 3 * tables.length + 4 * rows.length + 5 * saves.length)
    words[0] = plan.step
    words[1] = resets.length
    words[2] = tables.length
    words[3] = rows.length
    words[4] = saves.length
    let at = 5
    for (const sequence of resets) words[at++] = sequence
    for (const update of tables) {
      words[at++] = update.sequence
      words[at++] = update.index
      words[at++] = update.slot
    }
    for (const row of rows) {
      words[at++] = row.sequence
      words[at++] = row.from
      words[at++] = row.count
      words[at++] = row.sample ? 1 : 0
    }
    for (const save of saves) {
      words[at++] = save.id
      words[at++] = save.sequence
      words[at++] = save.index
      words[at++] = save.dramSlot
      words[at++] = save.valid
    }
    return words.subarray(0, at)
  }

  transfers(transfers: readonly Transfer[]): Uint32Array {
    const words = this.#reserve(TRANSFER_WORDS * transfers.length)
    transfers.forEach((transfer, index) => writeTransfer(words, index * TRANSFER_WORDS, transfer))
    return words.subarray(0, TRANSFER_WORDS * transfers.length)
  }

  #reserve(words: number): Uint32Array {
    if (this.#words.length < words) this.#words = new Uint32Array(2 * words)
    return this.#words
  }
}

function writeTransfer(words: Uint32Array, at: number, transfer: Transfer): void {
  words.fill(0, at, at + TRANSFER_WORDS)
  words[at] = TRANSFER_KINDS[transfer.kind]
  words[at + 1] = transfer.id
  switch (transfer.kind) {
    case 'load':
      words[at + 2] = transfer.dramSlot
      words[at + 3] = transfer.hbmSlot
      return
    case 'save':
      words[at + 2] = transfer.hbmSlot
      words[at + 3] = transfer.dramSlot
      words[at + 4] = transfer.valid
      return
    case 'read':
      words[at + 2] = transfer.ssdSlot
      words[at + 3] = transfer.dramSlot
      break
    case 'write':
      words[at + 2] = transfer.dramSlot
      words[at + 3] = transfer.ssdSlot
      break
    case 'copy':
      words[at + 2] = transfer.fromHbmSlot
      words[at + 3] = transfer.toHbmSlot
      words[at + 4] = transfer.valid
      return
    case 'erase':
      words[at + 2] = transfer.ssdSlot
      return
    case 'flush':
      return
  }
  words[at + 4] = transfer.valid
  writeKey(words, at + 5, transfer.key)
}

function writeKey(words: Uint32Array, at: number, key: BlockKey): void {
  for (let word = 0; word < KEY_BYTES / 4; word++) {
    const byte = 4 * word
    words[at + word] =
      key.charCodeAt(byte) |
      (key.charCodeAt(byte + 1) << 8) |
      (key.charCodeAt(byte + 2) << 16) |
      (key.charCodeAt(byte + 3) << 24)
  }
}

/** Bytes of a key as the directory's Map key. */
export function keyFromBytes(bytes: Uint8Array): BlockKey {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** The 32 bytes of a key. */
export function keyToBytes(key: BlockKey): Uint8Array {
  return Buffer.from(key, 'latin1')
}

/** Reads the events that Rust packed into `bytes`. */
export function readEvents(bytes: Buffer): EngineEvent[] {
  const events: EngineEvent[] = []
  for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) {
    const cursor = new Cursor(bytes, at + 8)
    const kind = bytes.readUInt32LE(at)
    events.push(kind === 0 ? readStep(cursor) : kind === 1 ? readTransferDone(cursor) : readFailed(cursor))
  }
  return events
}

class Cursor {
  constructor(
    readonly bytes: Buffer,
    public at: number,
  ) {}

  word(): number {
    const value = this.bytes.readUInt32LE(this.at)
    this.at += 4
    return value
  }

  float(): number {
    const value = this.bytes.readFloatLE(this.at)
    this.at += 4
    return value
  }

  text(): string {
    const length = this.word()
    const value = length === 0 ? '' : this.bytes.toString('utf8', this.at, this.at + length)
    this.at += Math.ceil(length / 4) * 4
    return value
  }

  key(): BlockKey {
    const value = this.bytes.toString('latin1', this.at, this.at + KEY_BYTES)
    this.at += KEY_BYTES
    return value
  }
}

function readFailed(cursor: Cursor): EngineFailed {
  return { kind: 'failed', code: cursor.text(), message: cursor.text() }
}

function readTransferDone(cursor: Cursor): TransferDone {
  const id = cursor.word()
  const ms = cursor.float()
  const bytes = cursor.word() + cursor.word() * 2 ** 32
  const error = cursor.text()
  const detail = cursor.text()
  return error === '' ? { kind: 'transfer', id, bytes, ms } : { kind: 'transfer', id, bytes, ms, error, detail }
}

function readStep(cursor: Cursor): StepReply {
  const step = cursor.word()
  const stepMs = cursor.float()
  const loadStallMs = cursor.float()
  const stalledLayers = cursor.word()
  const rows = Array.from({ length: cursor.word() }, () => readRow(cursor))
  return { kind: 'step', step, rows, stepMs, loadStallMs, stalledLayers }
}

function readRow(cursor: Cursor): RowResult {
  const sequence = cursor.word()
  const flags = cursor.word()
  const status = ROW_STATUS[flags & 3] ?? 'void'
  const filled = Array.from({ length: cursor.word() }, () => ({ index: cursor.word(), key: cursor.key() }))
  const text = cursor.text()
  const token = flags & HAS_TOKEN ? cursor.word() : undefined
  const logprob = token !== undefined && flags & HAS_LOGPROB ? readLogprob(cursor, token) : undefined
  return {
    sequence,
    status,
    filled,
    text,
    ...(token === undefined ? {} : { token }),
    ...(logprob === undefined ? {} : { logprob }),
    ...(flags & HAS_FINISH ? readFinished(cursor, (flags & HAS_TAIL_KEY) !== 0) : {}),
  }
}

function readLogprob(cursor: Cursor, token: number): TokenLogprob {
  const logprob = cursor.float()
  const top = Array.from({ length: cursor.word() }, () => [cursor.word(), cursor.float()] as const)
  return { token, logprob, top }
}

type Finished = Required<Pick<RowResult, 'finish' | 'stopped' | 'insideTokens' | 'insideBytes' | 'computedTokens' | 'tailKey'>>

function readFinished(cursor: Cursor, hasTailKey: boolean): Finished {
  const kind = cursor.word()
  const stopToken = cursor.word()
  const stopString = cursor.text()
  const finish = FINISH_REASONS[kind] ?? 'stop'
  const stopped = kind === 1 ? stopToken : kind === 2 ? stopString : null
  const insideTokens = cursor.word()
  const insideBytes = cursor.word()
  const computedTokens = cursor.word()
  const tailKey = hasTailKey ? cursor.key() : null
  return { finish, stopped, insideTokens, insideBytes, computedTokens, tailKey }
}
