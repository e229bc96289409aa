// Gives a waiting sequence its blocks: what is in hbm is shared, what is below is loaded, a partly used block is
// extended in place by its sole owner and copied for everyone else.

import { TIERS, type Block } from '../../directory/block.js'
import type { Match, Source } from '../../directory/match.js'
import type { SlotPool } from '../../directory/slots.js'
import { viewOf } from '../../directory/view.js'
import { BLOCK_TOKENS, type ViewParameters } from '../../engine/types.js'
import type { TurnUse } from '../../placement/types.js'
import { hiddenBlocks, MIN_WINDOW } from '../../engine/view.js'
import type { Core } from '../core/core.js'
import type { HistoryChoice } from '../costs/load-or-recompute.js'
import type { Loader } from './loader.js'
import { Front } from '../sequence/front.js'
import { splitOf } from '../sequence/prompt-split.js'
import type { Room } from './room.js'
import type { Sequence } from '../sequence/sequence.js'
import { mostRolled } from '../sequence/start.js'

/** No slot is needed. (-1 says that none could be had.) */
const NONE = -2

/** How one source gets into the block table; `defer`: it is read or computed, whichever comes first. */
type Way = 'share' | 'load' | 'take over' | 'copy' | 'load own' | 'defer'

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
  /** What is to be done about history of which so many blocks lie on ssd. */
  onChoice: (blocks: number) => HistoryChoice = () => 'load'

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
    const found = this.#match(sequence)
    this.dropWants(sequence)
    const onDisk = found.sources.filter(isOnDisk).length
    const choice = this.#choose(found, onDisk)
    const match = choice === 'recompute' ? withoutTail(found) : found
    const steps = match.sources.map(source => ({ source, way: this.#wayOf(source, choice) }))
    const unprotect = this.#protect(steps)
    const fits = this.#room.hasHbm(slotsNeeded(sequence, match, steps) + reserve)
    const slots = fits ? this.#takeSlots(steps) : null
    if (slots) this.#build(sequence, match, steps, slots)
    if (slots && onDisk > 0) this.#core.counters.history[choice]++
    if (slots && choice === 'recompute') sequence.front?.giveUp()
    unprotect()
    if (!slots) this.noteWants(sequence)
    return slots !== null
  }

  /** Once the engine knows the sequence, it stays with its start. */
  #match(sequence: Sequence): Match {
    if (!this.#core.tiers.keeps) return { length: 0, sources: [] }
    const { directory } = this.#core
    const { root, spec, starts } = sequence
    const view = viewOf(spec.view)
    const isUsable = (block: Block): boolean => this.#isOfView(block, spec.view)
    if (sequence.isAdded || starts.length === 1) return directory.match(root, sequence.keys, sequence.tokens.view(), view, isUsable)
    const most = mostRolled({ ...spec, tokens: sequence.history })
    for (const start of starts) {
      const match = directory.match(root, start.keys, start.tokens, view, isUsable)
      if (start.tokens.length - match.length > most) continue
      sequence.begin(start)
      return match
    }
    throw new Error('the last start of a sequence computes more than its view holds')
  }

  /** From the window on, rows depend on what was seen when they were computed; then the view is part of a block's key. */
  #isOfView({ key, parent, index, tokens }: Block, view: ViewParameters | null): boolean {
    if (index * BLOCK_TOKENS < MIN_WINDOW) return true
    return this.#core.engine.text.blockKey(parent, index, tokens, view) === key
  }

  /** What is left out of the view could not be computed from. */
  #choose({ length, sources }: Match, onDisk: number): HistoryChoice {
    const isWhole = sources.length === Math.ceil(length / BLOCK_TOKENS)
    return onDisk === 0 || !isWhole ? 'load' : this.onChoice(onDisk)
  }

  #wayOf(source: Source, choice: HistoryChoice): Way {
    const { block, rows } = source
    const inHbm = block.has('hbm')
    if (choice !== 'load' && isOnDisk(source)) return 'defer'
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
    sequence.loading.begin(this.#core.clock.now())
    sequence.isTailSettled = false
    sequence.sources = match.sources.map(({ block }) => block)
    if (!sequence.isSplitFinal) sequence.split = splitOf(this.#core.directory, sequence, match)
    sequence.turnUse ??= this.#beginTurn(sequence, match.length)
    const { turnUse } = sequence
    const firstDeferred = steps.find(({ way }) => way === 'defer')
    sequence.front = firstDeferred ? new Front(match.length) : null
    steps.forEach(({ source, way }, i) => {
      this.#core.directory.use(source.block, turnUse)
      this.onUsed(source.block)
      this.#core.journal.taken(sequence.trail, source.block)
      this.#enter(sequence, source, way, slots[i] as number)
    })
    this.#leaveBehind(sequence, match.length)
    const there = firstDeferred ? firstDeferred.source.index * BLOCK_TOKENS : match.length
    sequence.computed = there
    sequence.planned = there
    sequence.expectedLength = sequence.tokens.length
  }

  /** What nothing remembers is new: no block, and no ghost of one. */
  #beginTurn({ keys, promptLength, retention }: Sequence, length: number): TurnUse {
    const { blocks, ghosts, policy, now, fullCapacity: capacity } = this.#core.directory
    let known = 0
    while (known < keys.length && (blocks.has(keys[known] as string) || ghosts.get(keys[known] as string))) known++
    const newTokens = promptLength - Math.max(length, known * BLOCK_TOKENS)
    return policy.begin({ atMs: now(), newTokens, retention, capacity })
  }

  /** What the first computed token does not see is seen by no one who comes after it. */
  #leaveBehind({ spec, keys }: Sequence, length: number): void {
    const { from, to } = hiddenBlocks(spec.view, length)
    for (const key of keys.slice(from, to)) {
      const block = this.#core.directory.blocks.get(key)
      if (block) this.#core.directory.leaveBehind(block)
    }
  }

  #enter(sequence: Sequence, { index, block, rows }: Source, way: Way, slot: number): void {
    const { directory } = this.#core
    switch (way) {
      case 'share':
        sequence.table[index] = { slot: block.copies.hbm.slot, block }
        directory.ref(block)
        if (!block.has('hbm')) this.#loader.joinShared(sequence.loading, block)
        return
      case 'load':
        directory.adopt(block, 'hbm', slot, 'filling')
        sequence.table[index] = { slot, block }
        directory.ref(block)
        return this.#loader.loadShared(sequence.loading, block)
      case 'take over':
        sequence.table[index] = { slot: directory.takeOver(block), block: null }
        sequence.isTailSettled = true
        return
      case 'copy':
        sequence.table[index] = { slot, block: null }
        return this.#copy(sequence, index, block, rows)
      case 'load own':
        sequence.table[index] = { slot, block: null }
        return this.#loader.loadOwn(sequence.loading, block, slot)
      case 'defer':
        sequence.table[index] = { slot, block: null }
        sequence.front?.missing.set(index, block)
    }
  }

  /** Runs before the next step, so nobody waits for it; both slots stay as they are until it is done. */
  #copy(sequence: Sequence, index: number, source: Block, valid: number): void {
    const { directory, desk, counters } = this.#core
    const { hbm } = directory.pools
    const fromHbmSlot = source.copies.hbm.slot
    const toHbmSlot = sequence.table[index]?.slot as number
    hbm.pin(fromHbmSlot)
    hbm.pin(toHbmSlot)
    desk.send({ kind: 'copy', fromHbmSlot, toHbmSlot, valid }, ({ error }) => {
      hbm.unpin(fromHbmSlot)
      hbm.unpin(toHbmSlot)
      if (error === undefined) return
      // As with a load: a source that cannot be copied would be tried again for ever.
      if (!source.gone) counters.dropped.damaged++
      directory.orphan(source)
      if (sequence.table[index]?.slot === toHbmSlot) sequence.loading.failed()
    })
  }
}

/** The bytes would have to be read first. */
function isOnDisk({ block }: Source): boolean {
  return block.copies.hbm.state === 'absent' && !block.has('dram')
}

/** Whoever computes everything does not read the last, partly used block either. */
function withoutTail(match: Match): Match {
  const last = match.sources.at(-1)
  if (!last || last.rows === BLOCK_TOKENS || !isOnDisk(last)) return match
  return { length: last.index * BLOCK_TOKENS, sources: match.sources.slice(0, -1) }
}

/**
 * Slots for everything that is seen of what is known and the token to come, without those that are there. What a view
 * leaves out on the way gives its slots back, so no more than the window is ever needed.
 */
function slotsNeeded({ tokens, spec }: Sequence, { length, sources }: Match, steps: readonly Step[]): number {
  const there = steps.filter(step => step.way === 'share' || step.way === 'take over').length
  const toCome = Math.ceil((tokens.length + 1) / BLOCK_TOKENS) - Math.ceil(length / BLOCK_TOKENS)
  const most = spec.view === null ? Infinity : spec.view.window / BLOCK_TOKENS
  return Math.min(sources.length + toCome, most) - there
}
