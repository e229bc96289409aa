// Gives a waiting sequence its blocks: finds what is there of its history, has it planned (`acquire-plan.ts`), and does what
// the plan says if there is room.

import type { Block } from '../../directory/block.js'
import type { ExistenceOf, Match, Source } from '../../directory/match.js'
import type { Reservation } from '../../directory/reservation.js'
import type { SlotPool } from '../../directory/slots.js'
import { viewOf } from '../../directory/view.js'
import { BLOCK_TOKENS, type TierName, type ViewParameters } from '../../engine/types.js'
import type { TurnUse } from '../../placement/types.js'
import { hiddenBlocks, keyedView, MIN_WINDOW } from '../../engine/view.js'
import { SLOT_TIERS } from '../../protocol/tiers.js'
import type { Core } from '../core/core.js'
import type { HistoryChooser } from '../costs/chooser.js'
import type { HistoryChoice } from '../costs/load-or-recompute.js'
import { isOnDisk, needsSlot, planAcquisition, type AcquirePlan, type Step, type Way } from './acquire-plan.js'
import type { Loader } from './loader.js'
import { soughtOf, type Sought } from './keyed/fetcher.js'
import { Front } from '../sequence/front.js'
import { splitOf } from '../sequence/prompt-split.js'
import type { Room } from './room.js'
import type { Sequence } from '../sequence/sequence.js'
import { mostRolled } from '../sequence/start.js'

export class Acquirer {
  readonly #core: Core
  readonly #room: Room
  readonly #loader: Loader
  readonly #chooser: HistoryChooser

  constructor(core: Core, room: Room, loader: Loader, chooser: HistoryChooser) {
    this.#core = core
    this.#room = room
    this.#loader = loader
    this.#chooser = chooser
  }

  /** Marks the blocks that a waiting sequence will want, and remembers in which tiers they are. */
  noteWants(sequence: Sequence): void {
    if (!this.#core.tiers.keeps) return
    const { sources } = this.#match(sequence)
    sequence.want(sources.map(source => source.block))
    if (sequence.serving.hasTiers || sequence.isAdded) return
    const tiers: Array<TierName | undefined> = []
    for (const { index, block } of sources) tiers[index] = block.tier ?? undefined
    sequence.serving.queued(tiers)
  }

  /** Full blocks that a waiting sequence would want, that no slot holds, and of which it is not known that they are nowhere. */
  elsewhere(sequence: Sequence, existenceOf: ExistenceOf): readonly Sought[] {
    const { root, spec, starts, isScored } = sequence
    if (isScored) return []
    const view = viewOf(spec.view)
    return starts.flatMap(({ keys, tokens }) => {
      const { elsewhere = [] } = this.#core.directory.match(root, keys, tokens, view, block => this.#isOfView(block, spec.view), existenceOf)
      return soughtOf(root, keys, tokens, elsewhere.map(({ index }) => index))
    })
  }

  /**
   * Fills the block table and starts the loads; false: there is not room enough now, and nothing has changed. `reserve`
   * slots are left for the growth of what runs already.
   */
  acquire(sequence: Sequence, reserve: number): boolean {
    const found = this.#match(sequence)
    sequence.unwant()
    const onDisk = found.sources.filter(isOnDisk).length
    const choice = this.#choose(found, onDisk)
    const { hbm } = this.#core.directory.pools
    const { tokens, spec } = sequence
    const plan = planAcquisition({
      found,
      choice,
      tokens: tokens.length,
      window: spec.view?.window ?? Infinity,
      isPinned: slot => hbm.isPinned(slot),
    })
    const unprotect = this.#protect(plan.steps)
    const fits = this.#room.hasHbm(plan.slots + reserve)
    const slots = fits ? this.#takeSlots(plan.steps) : null
    if (slots) this.#apply(sequence, plan, slots)
    if (slots && onDisk > 0) this.#core.counters.history[choice]++
    if (slots && choice === 'recompute') sequence.progress.front?.giveUp()
    unprotect()
    if (!slots) this.noteWants(sequence)
    return slots !== null
  }

  /** Once the engine knows the sequence, it stays with its start. */
  #match(sequence: Sequence): Match {
    if (!this.#core.tiers.keeps || sequence.isScored) return { length: 0, sources: [] }
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

  /**
   * From the window on, rows depend on what was seen when they were computed; then the view is part of a block's key. A
   * block that continues such a one was computed under its view.
   */
  #isOfView({ key, parent, index, tokens }: Block, view: ViewParameters | null): boolean {
    if (index * BLOCK_TOKENS < MIN_WINDOW || keyedView(view, index - 1) !== null) return true
    return this.#core.engine.text.blockKey(parent, index, tokens, view) === key
  }

  /** A history of which the view leaves something out is not computed from there. */
  #choose({ length, sources }: Match, onDisk: number): HistoryChoice {
    const isWhole = sources.length === Math.ceil(length / BLOCK_TOKENS)
    return onDisk === 0 || !isWhole ? 'load' : this.#chooser.choose(onDisk)
  }

  /** While room is made, none of the sources may be chosen as a victim. Returns what ends the protection. */
  #protect(steps: readonly Step[]): () => void {
    const { pools } = this.#core.directory
    const pinned: Array<readonly [SlotPool, number]> = []
    for (const { source } of steps) {
      for (const tier of SLOT_TIERS) if (source.block.has(tier)) pinned.push([pools[tier], source.block.copies[tier].slot])
    }
    for (const [pool, slot] of pinned) pool.pin(slot)
    return () => {
      for (const [pool, slot] of pinned) pool.unpin(slot)
    }
  }

  /** An hbm slot for each step that needs one; null, and nothing taken, if there are not enough. */
  #takeSlots(steps: readonly Step[]): Array<Reservation | null> | null {
    const slots: Array<Reservation | null> = []
    for (const { way } of steps) {
      const slot = needsSlot(way) ? this.#room.take('hbm') : null
      if (!slot && needsSlot(way)) {
        for (const taken of slots) taken?.dispose()
        return null
      }
      slots.push(slot)
    }
    return slots
  }

  #apply(sequence: Sequence, { match, steps }: AcquirePlan, slots: ReadonlyArray<Reservation | null>): void {
    const { directory, clock, journal, events } = this.#core
    sequence.loading.begin(clock.now())
    sequence.table.fillFrom(match.sources.map(({ block }) => block))
    sequence.serving.acquired(() => splitOf(directory, sequence, match))
    const turnUse = sequence.beginTurn(() => this.#beginTurn(sequence, match.length))
    const firstDeferred = steps.find(({ way }) => way === 'defer')
    const there = firstDeferred ? firstDeferred.source.index * BLOCK_TOKENS : match.length
    sequence.progress.acquired(there, sequence.tokens.length, firstDeferred ? new Front(match.length) : null)
    steps.forEach(({ source, way }, i) => {
      directory.use(source.block, turnUse)
      events.emit('blockTaken', source.block)
      journal.taken(sequence.trail, source.block)
      this.#enter(sequence, source, way, slots[i] ?? null)
    })
    this.#leaveBehind(sequence, match.length)
  }

  /** Tokens without a block and without the ghost of one are new. */
  #beginTurn({ keys, promptLength, wishes: { retention } }: Sequence, length: number): TurnUse {
    const { blocks, ghosts, policy, now, fullCapacity: capacity } = this.#core.directory
    let known = 0
    while (known < keys.length && (blocks.has(keys[known] as string) || ghosts.get(keys[known] as string))) known++
    const newTokens = promptLength - Math.max(length, known * BLOCK_TOKENS)
    return policy.begin({ atMs: now(), newTokens, retention, capacity })
  }

  /** Blocks that the first computed token does not see are seen by no token after it. */
  #leaveBehind({ spec, keys }: Sequence, length: number): void {
    const { from, to } = hiddenBlocks(spec.view, length)
    for (const key of keys.slice(from, to)) {
      const block = this.#core.directory.blocks.get(key)
      if (block) this.#core.directory.leaveBehind(block)
    }
  }

  /** `own`: the slot of a step that needs one. */
  #enter(sequence: Sequence, { index, block, rows }: Source, way: Way, own: Reservation | null): void {
    const { directory } = this.#core
    if (way === 'share') {
      sequence.table.share(index, block)
      directory.ref(block)
      if (!block.has('hbm')) this.#loader.joinShared(sequence.loading, block)
      return
    }
    const slot = own ?? directory.takeOver(block)
    if (way === 'load') {
      slot.become(block, 'filling')
      sequence.table.share(index, block)
      directory.ref(block)
      return this.#loader.loadShared(sequence.loading, block)
    }
    sequence.table.own(index, slot)
    if (way === 'take over') sequence.progress.tookOver()
    else if (way === 'copy') this.#copy(sequence, index, block, rows)
    else if (way === 'load own') this.#loader.loadOwn(sequence.loading, block, slot.slot)
    else sequence.progress.front?.missing.set(index, block)
  }

  /** Runs before the next step, so no step waits for it; both slots stay as they are until it is done. */
  #copy(sequence: Sequence, index: number, source: Block, valid: number): void {
    const { directory, desk, counters } = this.#core
    const { hbm } = directory.pools
    const fromHbmSlot = source.copies.hbm.slot
    const toHbmSlot = sequence.table.at(index)?.slot as number
    hbm.pin(fromHbmSlot)
    hbm.pin(toHbmSlot)
    desk.send({ kind: 'copy', fromHbmSlot, toHbmSlot, valid }, ({ error }) => {
      hbm.unpin(fromHbmSlot)
      hbm.unpin(toHbmSlot)
      if (error === undefined) return
      // As with a load: a source that cannot be copied would be tried again for ever.
      if (!source.gone) counters.dropped.damaged++
      directory.orphan(source)
      if (sequence.table.at(index)?.slot === toHbmSlot) sequence.loading.failed()
    })
  }
}
