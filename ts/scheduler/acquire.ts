// Gives a waiting sequence its blocks: what is in hbm is shared, what is below is loaded, a partly used block is
// extended in place by its sole owner and copied for everyone else.

import { TIERS, type Block } from '../directory/block.js'
import type { Match, Source } from '../directory/match.js'
import type { SlotPool } from '../directory/slots.js'
import { BLOCK_TOKENS } from '../engine/types.js'
import type { TurnUse } from '../placement/types.js'
import type { Core } from './core.js'
import { perTier } from './counters.js'
import type { Loader } from './loader.js'
import { explainMisses } from './misses.js'
import type { Room } from './room.js'
import type { PromptSplit, Sequence } from './sequence.js'

/** No slot is needed. (-1 says that none could be had.) */
const NONE = -2

/** How one source gets into the block table. */
type Way = 'share' | 'load' | 'take over' | 'copy' | 'load own'

interface Step {
  readonly source: Source
  readonly way: Way
}

export class Acquirer {
  readonly #core: Core
  readonly #room: Room
  readonly #loader: Loader
  /** A sequence takes the block. */
  onUsed: (block: Block) => void = () => {}

  constructor(core: Core, room: Room, loader: Loader) {
    this.#core = core
    this.#room = room
    this.#loader = loader
  }

  /** Marks the blocks that a waiting sequence will want, and remembers in which tiers they are. */
  noteWants(sequence: Sequence): void {
    if (!this.#core.tiers.keeps) return
    const { sources } = this.#match(sequence)
    sequence.wanted = sources.map(source => source.block)
    sequence.ahead = { next: 0, pending: 0, isStuck: false }
    for (const block of sequence.wanted) block.want(sequence.ticket)
    if (sequence.queuedTiers.length > 0 || sequence.isAdded) return
    for (const { index, block } of sources) sequence.queuedTiers[index] = block.tier ?? undefined
  }

  dropWants(sequence: Sequence): void {
    for (const block of sequence.wanted) block.unwant(sequence.ticket)
    sequence.wanted = []
  }

  /**
   * Fills the block table and starts the loads; false: there is not room enough now, and nothing has changed. `reserve`
   * slots are left for the growth of what runs already.
   */
  acquire(sequence: Sequence, reserve: number): boolean {
    const match = this.#match(sequence)
    this.dropWants(sequence)
    const steps = match.sources.map(source => ({ source, way: this.#wayOf(source) }))
    const unprotect = this.#protect(steps)
    const fits = this.#room.hasHbm(slotsNeeded(sequence, steps) + reserve)
    const slots = fits ? this.#takeSlots(steps) : null
    if (slots) this.#build(sequence, match, steps, slots)
    unprotect()
    if (!slots) this.noteWants(sequence)
    return slots !== null
  }

  #match(sequence: Sequence): Match {
    if (!this.#core.tiers.keeps) return { length: 0, sources: [] }
    return this.#core.directory.match(sequence.root, sequence.keys, sequence.tokens.view())
  }

  #wayOf({ block, rows }: Source): Way {
    const inHbm = block.has('hbm')
    if (rows === BLOCK_TOKENS) return inHbm || block.copies.hbm.state === 'filling' ? 'share' : 'load'
    if (!inHbm) return 'load own'
    const isPinned = this.#core.directory.pools.hbm.isPinned(block.copies.hbm.slot)
    const isSoleOwner = block.valid === rows && block.refs === 0 && block.wants === 0 && !isPinned
    return isSoleOwner ? 'take over' : 'copy'
  }

  /** While room is made, none of the sources may be chosen as a victim. Returns what ends the protection. */
  #protect(steps: readonly Step[]): () => void {
    const { pools } = this.#core.directory
    const pinned: Array<readonly [SlotPool, number]> = []
    for (const { source } of steps) {
      for (const tier of TIERS) if (source.block.has(tier)) pinned.push([pools[tier], source.block.copies[tier].slot])
    }
    for (const [pool, slot] of pinned) pool.pin(slot)
    return () => {
      for (const [pool, slot] of pinned) pool.unpin(slot)
    }
  }

  /** One hbm slot for each step that needs one; null, and nothing taken, if there are not enough. */
  #takeSlots(steps: readonly Step[]): number[] | null {
    const slots: number[] = []
    for (const { way } of steps) {
      const slot = way === 'share' || way === 'take over' ? NONE : this.#room.take('hbm')
      if (slot < 0 && slot !== NONE) {
        for (const taken of slots) if (taken !== NONE) this.#core.directory.unreserve('hbm', taken)
        return null
      }
      slots.push(slot)
    }
    return slots
  }

  #build(sequence: Sequence, match: Match, steps: readonly Step[], slots: readonly number[]): void {
    sequence.loadBytes = 0
    sequence.isTailSettled = false
    if (!sequence.isSplitFinal) sequence.split = this.#splitOf(sequence, match)
    sequence.turnUse ??= this.#beginTurn(sequence)
    const { turnUse } = sequence
    steps.forEach(({ source, way }, i) => {
      this.#core.directory.use(source.block, turnUse)
      this.onUsed(source.block)
      this.#enter(sequence, source, way, slots[i] as number)
    })
    sequence.computed = match.length
    sequence.planned = match.length
    sequence.expectedLength = sequence.tokens.length
  }

  /** Where the prompt's tokens come from. A block's tier is the one it lay in when the request was queued. */
  #splitOf(sequence: Sequence, match: Match): PromptSplit {
    const reused = perTier()
    let inView = 0
    for (const { index, block, rows } of match.sources) {
      reused[sequence.queuedTiers[index] ?? block.tier ?? 'ssd'] += rows
      inView += rows
    }
    const { root, keys, promptLength } = sequence
    const tokens = sequence.tokens.view(0, promptLength)
    const misses = explainMisses(this.#core.directory, { root, keys, tokens, from: match.length, to: promptLength })
    return { reused, computed: promptLength - match.length, outsideView: match.length - inView, misses }
  }

  /** What nothing remembers is new: no block, and no ghost of one. */
  #beginTurn({ keys, promptLength }: Sequence): TurnUse {
    const { blocks, ghosts, policy, now } = this.#core.directory
    let known = 0
    while (known < keys.length && (blocks.has(keys[known] as string) || ghosts.get(keys[known] as string))) known++
    return policy.begin({ atMs: now(), newTokens: promptLength - known * BLOCK_TOKENS })
  }

  #enter(sequence: Sequence, { index, block, rows }: Source, way: Way, slot: number): void {
    const { directory } = this.#core
    switch (way) {
      case 'share':
        sequence.table[index] = { slot: block.copies.hbm.slot, block }
        directory.ref(block)
        if (!block.has('hbm')) this.#loader.joinShared(sequence, block)
        return
      case 'load':
        directory.adopt(block, 'hbm', slot, 'filling')
        sequence.table[index] = { slot, block }
        directory.ref(block)
        return this.#loader.loadShared(sequence, block)
      case 'take over':
        sequence.table[index] = { slot: directory.takeOver(block), block: null }
        sequence.isTailSettled = true
        return
      case 'copy':
        sequence.table[index] = { slot, block: null }
        return this.#copy(block.copies.hbm.slot, slot, rows)
      case 'load own':
        sequence.table[index] = { slot, block: null }
        return this.#loader.loadOwn(sequence, block, slot)
    }
  }

  /** Runs before the next step, so nobody waits for it; both slots stay as they are until it is done. */
  #copy(fromHbmSlot: number, toHbmSlot: number, valid: number): void {
    const { hbm } = this.#core.directory.pools
    hbm.pin(fromHbmSlot)
    hbm.pin(toHbmSlot)
    this.#core.desk.send({ kind: 'copy', fromHbmSlot, toHbmSlot, valid }, () => {
      hbm.unpin(fromHbmSlot)
      hbm.unpin(toHbmSlot)
    })
  }
}

/** Slots for everything that is known and the token to come, without those that are there. */
function slotsNeeded(sequence: Sequence, steps: readonly Step[]): number {
  const there = steps.filter(step => step.way === 'share' || step.way === 'take over').length
  return Math.ceil((sequence.tokens.length + 1) / BLOCK_TOKENS) - there
}
