// Blocks of waiting requests that only the key-addressed tier may have: it is asked once for all of them, and those that are
// there are fetched into dram, where the match finds them. The request is held until then, for no longer than computing
// them would take. An answer that does not come in time counts as absent, and the request's misses say "unknown".

import type { Block } from '../../../directory/block.js'
import { Inquiry } from '../../../directory/inquiry.js'
import type { ExistenceOf } from '../../../directory/match.js'
import { BLOCK_TOKENS, type BlockKey } from '../../../engine/types.js'
import type { Core } from '../../core/core.js'
import type { KeyedDesk } from '../../core/keyed-desk.js'
import type { Sequence } from '../../sequence/sequence.js'
import type { Room } from '../room.js'

/** Milliseconds that a request waits for the answer, at most. */
const MOST_ANSWER_MS = 250
/** Milliseconds that a request waits for the blocks, where it is not known how long computing them would take. */
const UNMEASURED_MS = 2000
/** Gets under way at once. */
const MOST_FETCHES = 16

/** A full block of a prompt, which no slot holds. */
export interface Sought {
  readonly key: BlockKey
  readonly parent: BlockKey
  readonly index: number
  readonly tokens: Uint32Array
}

/** The blocks of a sequence's prompt that no slot holds, and that the tier has or may have. */
export type Seek = (existenceOf: ExistenceOf) => readonly Sought[]

/** A sequence that is held. */
interface Held {
  readonly sequence: Sequence
  readonly inquiry: Inquiry
  /** In the order in which they are fetched. */
  readonly toFetch: Sought[]
  /** Blocks under way for it. */
  readonly pending: Set<Block>
  /** Blocks that it wants, because they were fetched for it. */
  readonly wanted: Block[]
  readonly again: () => void
  isAnswered: boolean
  cancelTimer: () => void
}

export class Fetcher {
  readonly #core: Core
  readonly #desk: KeyedDesk
  readonly #room: Room
  readonly #lower: (block: Block) => void
  readonly #held = new Map<Sequence, Held>()
  /** Gets under way, and who waits for each. */
  readonly #fetches = new Map<Block, Set<Held>>()

  /** `lower` sees to it that a block reaches every slot tier below it. */
  constructor(core: Core, desk: KeyedDesk, room: Room, lower: (block: Block) => void) {
    this.#core = core
    this.#desk = desk
    this.#room = room
    this.#lower = lower
  }

  /** How many sequences are held: for each of them news will come. */
  get holding(): number {
    return this.#held.size
  }

  /** The tier has not told yet which of the sequence's blocks it has, or some of them are being fetched. */
  isHeld(sequence: Sequence): boolean {
    return this.#held.has(sequence)
  }

  /** Holds a waiting sequence if there is something to ask for it. `again`: it is held no longer, and more may be there. */
  begin(sequence: Sequence, seek: Seek, again: () => void): void {
    const sought = seek(() => 'unknown')
    if (sought.length === 0 || this.#held.has(sequence)) return
    const inquiry = new Inquiry(sought.map(({ key }) => key))
    const held: Held = { sequence, inquiry, toFetch: [], pending: new Set(), wanted: [], again, isAnswered: false, cancelTimer: () => {} }
    this.#held.set(sequence, held)
    this.#wait(held, Math.min(MOST_ANSWER_MS, this.#computeMs(sought.length) ?? MOST_ANSWER_MS))
    this.#desk.ask(inquiry.keys, answers => this.#answered(held, answers, seek))
  }

  /** No time is waited for any more. */
  close(): void {
    for (const { cancelTimer } of this.#held.values()) cancelTimer()
  }

  /** Milliseconds that computing this number of blocks takes; null: not known. */
  #computeMs(blocks: number): number | null {
    const { blockMs } = this.#core.costs
    return blockMs === 0 ? null : blocks * blockMs
  }

  #wait(held: Held, ms: number): void {
    const { clock, events } = this.#core
    held.cancelTimer()
    held.cancelTimer = clock.after(ms, () => events.emit('keyedNews', () => this.#late(held)))
  }

  #answered(held: Held, answers: readonly boolean[] | null, seek: Seek): void {
    if (!this.#isWaiting(held)) return
    const { inquiry, toFetch } = held
    const counts = this.#core.counters.keyed
    if (answers === null) counts.failed++
    held.isAnswered = true
    inquiry.answered(answers ?? [])
    for (const key of inquiry.keys) counts[inquiry.of(key) === 'present' ? 'present' : 'absent']++
    toFetch.push(...seek(key => inquiry.of(key)))
    this.#wait(held, this.#computeMs(toFetch.length) ?? UNMEASURED_MS)
    this.#fetch(held)
  }

  /** False: it is held no longer; a sequence that was cancelled, or admitted because it waited too long, is let go. */
  #isWaiting(held: Held): boolean {
    if (this.#held.get(held.sequence) !== held) return false
    if (held.sequence.state === 'waiting') return true
    this.#release(held)
    return false
  }

  #fetch(held: Held): void {
    if (!this.#isWaiting(held) || !held.isAnswered) return
    while (held.toFetch.length > 0 && this.#fetches.size < MOST_FETCHES) {
      if (!this.#fetchOne(held, held.toFetch.shift() as Sought)) held.toFetch.length = 0
    }
    if (held.toFetch.length === 0 && held.pending.size === 0) this.#release(held)
  }

  /** False: dram has no room for it now, so neither for those behind it. */
  #fetchOne(held: Held, { key, parent, index, tokens }: Sought): boolean {
    const { directory } = this.#core
    const known = directory.blocks.get(key)
    if (known) {
      this.#fetches.get(known)?.add(held)
      if (this.#fetches.has(known)) this.#want(held, known)
      return true
    }
    const dram = this.#room.take('dram', { for: 'later', mayTake: other => other.firstWanted > held.sequence.ticket })
    if (!dram) return false
    const block = directory.obtain(key, parent, index, tokens)
    dram.become(block, 'filling')
    this.#fetches.set(block, new Set([held]))
    this.#want(held, block)
    this.#desk.get(key, dram.slot, error => this.#ended(block, error))
    return true
  }

  /** A block that is fetched for a request is not given up before its turn. */
  #want(held: Held, block: Block): void {
    held.pending.add(block)
    held.wanted.push(block)
    block.want(held.sequence.ticket)
  }

  #ended(block: Block, error: string | undefined): void {
    const users = this.#fetches.get(block) ?? []
    this.#fetches.delete(block)
    if (!block.gone) {
      if (error === undefined) this.#arrived(block)
      else this.#failed(block, error)
    }
    for (const held of users) held.pending.delete(block)
    // Each of the held requests may take the place that is free now.
    for (const held of [...this.#held.values()]) this.#fetch(held)
  }

  /** A block that the ssd does not have could never leave dram. */
  #arrived(block: Block): void {
    const { directory, counters } = this.#core
    directory.complete(block, 'dram')
    counters.keyed.fetched++
    this.#lower(block)
  }

  /** Meanwhile the block may have been computed: then only this copy is given up. */
  #failed(block: Block, error: string): void {
    const { directory, counters } = this.#core
    const isDamaged = error === 'kv_damaged'
    if (isDamaged) this.#desk.delete([block.key]).catch(() => counters.keyed.failed++)
    const cause = isDamaged ? 'damaged' : block.isBack ? 'evicted' : undefined
    directory.removeCopy(block, 'dram', cause)
    if (!block.gone) this.#lower(block)
    else if (isDamaged) counters.dropped.damaged++
  }

  /** The request goes on with the blocks that are there; those that come later are for others. */
  #late(held: Held): void {
    if (!this.#isWaiting(held)) return
    const { unanswered } = held.inquiry
    this.#core.counters.keyed.late += unanswered.length
    held.sequence.serving.leaveUnanswered(unanswered)
    this.#release(held)
  }

  #release(held: Held): void {
    const { sequence, wanted } = held
    if (!this.#held.delete(sequence)) return
    held.cancelTimer()
    for (const block of held.pending) this.#fetches.get(block)?.delete(held)
    for (const block of wanted) block.unwant(sequence.ticket)
    if (sequence.state === 'waiting') held.again()
  }
}

/** The full blocks of a chain at these indices. */
export function soughtOf(root: BlockKey, keys: readonly BlockKey[], tokens: Uint32Array, indices: readonly number[]): Sought[] {
  return indices.map(index => ({
    key: keys[index] as BlockKey,
    parent: index === 0 ? root : (keys[index - 1] as BlockKey),
    index,
    tokens: tokens.slice(index * BLOCK_TOKENS, (index + 1) * BLOCK_TOKENS),
  }))
}
