// Prompts that begin alike, in flight at the same time, are computed once: a request that waits follows one that runs, its
// leader, as long as the leader computes tokens that both prompts begin with, and that is predicted to be sooner than
// computing them twice. The answers to one request have one prompt: they follow the one of them that computes it, whatever
// is predicted. Only a waiting request follows and only one that prepares or runs leads, so that no two wait for each other.

import { BLOCK_TOKENS } from '../../engine/types.js'
import type { Core } from '../core/core.js'
import type { CostModel } from '../costs/cost-model.js'
import type { Moves } from '../moves/moves.js'
import type { Sequence } from '../sequence/sequence.js'

/** Fewer tokens than this are not waited for. */
const LEAST_SHARED = 16
/** The bound of a wait: four times the prediction, and a second at least. */
const MOST_OF_PREDICTION = 4
const LEAST_BOUND_MS = 1000
/** The bound where nothing is measured yet. */
const UNMEASURED_BOUND_MS = 10_000

interface Following {
  readonly leader: Sequence
  /** Leading tokens of both prompts. */
  readonly length: number
  /** Of these, those that are in no tier yet. */
  readonly awaited: number
}

export class Followers {
  readonly #core: Core
  readonly #moves: Pick<Moves, 'noteWants' | 'publishTail'>
  readonly #active: () => readonly Sequence[]
  readonly #following = new Map<Sequence, Following>()
  /** When the wait of a request that has followed ends, in milliseconds: one bound for all its leaders. */
  readonly #bounds = new WeakMap<Sequence, number>()
  /** Each runs when a bound is reached; what it returned cancels it. */
  readonly #timers = new Map<Sequence, () => void>()
  /** Requests that have followed: they are counted. */
  readonly #counted = new WeakSet<Sequence>()
  /** The roster at which a request found none to follow. */
  readonly #foundNone = new WeakMap<Sequence, number>()
  #roster = 0

  /** @param active Sequences that prepare or run, oldest first. */
  constructor(core: Core, moves: Pick<Moves, 'noteWants' | 'publishTail'>, active: () => readonly Sequence[]) {
    this.#core = core
    this.#moves = moves
    this.#active = active
  }

  /** A sequence prepares now, or does so no longer. */
  rosterChanged(): void {
    this.#roster++
  }

  /** The request waits no longer. */
  forget(sequence: Sequence): void {
    this.#following.delete(sequence)
    this.#timers.get(sequence)?.()
    this.#timers.delete(sequence)
  }

  /** Nothing is looked at again later. */
  close(): void {
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
  }

  /** Whether a waiting request does better to go on waiting than to run now. */
  follows(sequence: Sequence): boolean {
    if (!this.#core.tiers.keeps || sequence.isScored) return false
    const known = this.#following.get(sequence)
    if (known && this.#isComing(sequence, known)) return true
    this.#following.delete(sequence)
    if (!known && this.#foundNone.get(sequence) === this.#roster) return false
    const found = this.#find(sequence)
    if (found) {
      this.#following.set(sequence, found)
      if (!this.#isComing(sequence, found)) return false
      this.#count(sequence, found)
      return true
    }
    this.#foundNone.set(sequence, this.#roster)
    return false
  }

  /** The shared tokens, or the copy that others may use of the last of them, are still being made. */
  #isComing(sequence: Sequence, { leader, length }: Following): boolean {
    const isSibling = sequence.isSiblingOf(leader)
    if (!mayLead(leader) || (!isSibling && this.#isOverdue(sequence))) return false
    // Whole blocks enter the directory as they are filled; of the prompt's last one a copy does.
    const end = Math.min(Math.ceil(length / BLOCK_TOKENS) * BLOCK_TOKENS, leader.promptLength)
    if (leader.progress.computed < end) return true
    const isWorthACopy = end % BLOCK_TOKENS > 0 && length % BLOCK_TOKENS >= (isSibling ? 1 : LEAST_SHARED)
    return isWorthACopy && this.#moves.publishTail(leader, () => this.#published(leader)) === 'coming'
  }

  #isOverdue(sequence: Sequence): boolean {
    return this.#core.clock.now() >= (this.#bounds.get(sequence) ?? Infinity)
  }

  /** All that follow want the published block, so that each copies it and none takes it over from the others. */
  #published(leader: Sequence): void {
    for (const [follower, following] of this.#following) {
      if (following.leader !== leader) continue
      follower.unwant()
      this.#moves.noteWants(follower)
    }
  }

  #find(sequence: Sequence): Following | null {
    return this.#findSibling(sequence) ?? this.#findLeader(sequence)
  }

  /** The oldest of the answers to the same request that computes what the sequence has to. It begins where the sequence will. */
  #findSibling(sequence: Sequence): Following | null {
    const leader = this.#active().find(other => sequence.isSiblingOf(other) && mayLead(other))
    if (!leader) return null
    const length = leader.promptLength - 1
    const awaited = length - this.#tokensThere(leader)
    return awaited > 0 ? { leader, length, awaited } : null
  }

  /** The leader that shares the most, if waiting for it is sooner; of equal ones the oldest. */
  #findLeader(sequence: Sequence): Following | null {
    // A request that comes back after preemption has waited enough.
    if (sequence.isAdded || this.#isOverdue(sequence)) return null
    const there = this.#tokensThere(sequence)
    let best: Following | null = null
    for (const leader of this.#active()) {
      // Its steps take longer than the prediction says.
      if (leader.isScored || !mayLead(leader) || !areAlike(leader, sequence)) continue
      const length = sharedTokens(leader, sequence)
      if (length - there < LEAST_SHARED || length <= (best?.length ?? 0)) continue
      best = { leader, length, awaited: length - there }
    }
    return best && this.#isSooner(sequence, best, there) ? best : null
  }

  /** Leading tokens that are in some tier. */
  #tokensThere(sequence: Sequence): number {
    const { blocks, children } = this.#core.directory
    const { keys, tokens } = sequence
    const missing = keys.findIndex(key => (blocks.get(key)?.tier ?? null) === null)
    const index = missing < 0 ? keys.length : missing
    const from = index * BLOCK_TOKENS
    const part = children.best(sequence.parentKey(index), tokens.view(from, from + BLOCK_TOKENS), () => true)
    return from + (part?.rows ?? 0)
  }

  /**
   * Waiting takes the leader's loads and rows, and the step that begins after them. Going ahead takes the request's own
   * rows, and as many of the leader's beside them. Sets the bound of the wait too.
   */
  #isSooner(sequence: Sequence, { leader, length }: Following, there: number): boolean {
    const { costs } = this.#core
    if (!costs.isPromptMeasured) {
      const isComputed = leader.progress.computed >= length
      if (length - there < BLOCK_TOKENS && !isComputed) return false
      this.#bind(sequence, UNMEASURED_BOUND_MS)
      return true
    }
    const leaderMs = rowsMs(costs, Math.min(leader.progress.computed, length), length)
    const ownMs = rowsMs(costs, there, length)
    const waitMs = this.#loadMs(leader) + leaderMs + costs.promptStepMs
    if (waitMs > ownMs + Math.min(leaderMs, ownMs)) return false
    this.#bind(sequence, Math.max(LEAST_BOUND_MS, MOST_OF_PREDICTION * waitMs))
    return true
  }

  /** The rest of the loads that the leader waits for, reads from ssd included. */
  #loadMs({ loading }: Sequence): number {
    const { costs, engine } = this.#core
    if (loading.pending === 0 && loading.pendingReads === 0) return 0
    return loading.pendingReads * costs.readMs + costs.loadMs(loading.pending * engine.info.blockBytes)
  }

  #count(sequence: Sequence, { awaited }: Following): void {
    if (this.#counted.has(sequence)) return
    this.#counted.add(sequence)
    const { followed } = this.#core.counters
    followed.requests++
    followed.tokens += awaited
  }

  /** One bound for all leaders of a request. */
  #bind(sequence: Sequence, boundMs: number): void {
    const { clock, events } = this.#core
    if (this.#bounds.has(sequence)) return
    this.#bounds.set(sequence, clock.now() + boundMs)
    this.#timers.set(sequence, clock.after(boundMs, () => events.emit('followerWaited')))
  }
}

/** Tokens [from, to) of a prompt. */
function rowsMs(costs: CostModel, from: number, to: number): number {
  return costs.rowsMs(to - from, from)
}

function mayLead({ state, leaving, loading }: Sequence): boolean {
  return (state === 'preparing' || state === 'running') && leaving === null && !loading.hasFailed
}

/** They see their prompts alike, and each has all of its own. The root holds tenant and cache salt. */
function areAlike(leader: Sequence, sequence: Sequence): boolean {
  const [mine, other] = [sequence.spec.view, leader.spec.view]
  const seesAlike = mine === other || (mine?.window === other?.window && mine?.head === other?.head && mine?.step === other?.step)
  return leader.root === sequence.root && seesAlike && leader.start.leftOut === 0 && sequence.starts.length === 1
}

/** Tokens that both prompts begin with; the last one of the waiting prompt is always its own to compute. */
function sharedTokens(leader: Sequence, sequence: Sequence): number {
  const most = Math.min(leader.promptLength, sequence.promptLength - 1)
  const blocks = sharedBlocks(leader.keys, sequence.keys, Math.floor(most / BLOCK_TOKENS))
  const end = Math.min(most, (blocks + 1) * BLOCK_TOKENS)
  const [mine, other] = [sequence.tokens.view(0, end), leader.tokens.view(0, end)]
  let length = blocks * BLOCK_TOKENS
  while (length < end && mine[length] === other[length]) length++
  return length
}

/** Of the first `most` keys of two chains, how many are alike: a key holds all before it. */
function sharedBlocks(one: readonly string[], other: readonly string[], most: number): number {
  let [low, high] = [0, most]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (one[middle - 1] === other[middle - 1]) low = middle
    else high = middle - 1
  }
  return low
}
