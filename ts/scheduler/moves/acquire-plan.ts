// How a sequence gets its blocks, decided from what was found and from nothing else: what is in hbm is shared, what is below
// is loaded, a partly used block is extended in place by its sole owner and copied for everyone else.

import type { Match, Source } from '../../directory/match.js'
import { BLOCK_TOKENS } from '../../engine/types.js'
import type { HistoryChoice } from '../costs/load-or-recompute.js'

/** How one source gets into the block table; `defer`: it is read or computed, whichever comes first. */
export type Way = 'share' | 'load' | 'take over' | 'copy' | 'load own' | 'defer'

export interface Step {
  readonly source: Source
  readonly way: Way
}

export interface AcquirePlan {
  /** The part of the history that is used. */
  readonly match: Match
  /** One a source, in the order of the tokens. */
  readonly steps: readonly Step[]
  /** Slots of hbm for these steps and for every token to come that is known, and the one after. */
  readonly slots: number
}

export interface AcquireQuestion {
  readonly found: Match
  /** The way to get history that lies on ssd alone. */
  readonly choice: HistoryChoice
  /** Known tokens of the sequence. */
  readonly tokens: number
  /** The most tokens that it sees; Infinity: all of them. */
  readonly window: number
  /** A transfer names the hbm slot. */
  readonly isPinned: (slot: number) => boolean
}

export function planAcquisition({ found, choice, tokens, window, isPinned }: AcquireQuestion): AcquirePlan {
  const match = choice === 'recompute' ? withoutTail(found) : found
  const steps = match.sources.map(source => ({ source, way: wayOf(source, choice, isPinned) }))
  return { match, steps, slots: slotsNeeded(match, steps, tokens, window) }
}

/** The step fills a slot of its own. */
export function needsSlot(way: Way): boolean {
  return way !== 'share' && way !== 'take over'
}

/** The bytes would have to be read first. */
export function isOnDisk({ block }: Source): boolean {
  return block.copies.hbm.state === 'absent' && !block.has('dram')
}

function wayOf(source: Source, choice: HistoryChoice, isPinned: (slot: number) => boolean): Way {
  const { block, rows } = source
  const inHbm = block.has('hbm')
  if (choice !== 'load' && isOnDisk(source)) return 'defer'
  if (rows === BLOCK_TOKENS) return inHbm || block.copies.hbm.state === 'filling' ? 'share' : 'load'
  if (!inHbm) return 'load own'
  const isSoleOwner = block.valid === rows && block.refs === 0 && block.wants === 0 && !isPinned(block.copies.hbm.slot)
  return isSoleOwner ? 'take over' : 'copy'
}

/** A sequence that computes everything does not read the last, partly used block either. */
function withoutTail(match: Match): Match {
  const last = match.sources.at(-1)
  if (!last || last.rows === BLOCK_TOKENS || !isOnDisk(last)) return match
  return { length: last.index * BLOCK_TOKENS, sources: match.sources.slice(0, -1) }
}

/** Blocks that leave the view on the way give their slots back, so no more than the window is ever needed. */
function slotsNeeded({ length, sources }: Match, steps: readonly Step[], tokens: number, window: number): number {
  const there = steps.filter(({ way }) => !needsSlot(way)).length
  const toCome = Math.ceil((tokens + 1) / BLOCK_TOKENS) - Math.ceil(length / BLOCK_TOKENS)
  return Math.min(sources.length + toCome, window / BLOCK_TOKENS) - there
}
