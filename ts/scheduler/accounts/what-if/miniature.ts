// A cache of some capacity in miniature: a sample of the blocks, chosen by the hash of their keys, in a cache that is smaller by
// the same ratio and runs the server's own policy (Waldspurger et al., ATC 2017). Of a chain the sampled blocks stay a
// chain, so tails still go before heads. Blocks that have left keep their history for a time, as the directory's ghosts do.

import { keyWord } from '../../../directory/key-filter.js'
import type { BlockKey } from '../../../engine/types.js'
import type { Cohort } from '../../../placement/adaptive/cohorts.js'
import { BlockHeap, type Heaped } from '../../../placement/heap.js'
import type { Experienced, PlacementPolicy } from '../../../placement/types.js'
import { groupOf, GROUPS, ratesOf, type TokenTotals } from './groups.js'
import type { Asked, ServedTurn } from './turn.js'

const HASH_RANGE = 2 ** 32
/** Which bits of a key decide whether it is in the sample. */
const SAMPLE_WORD = 7
/** Blocks that a miniature holds at most. */
const MOST_RESIDENTS = 512
/** Blocks that have left and are remembered, for each that may be there. */
const GHOSTS_A_RESIDENT = 4
/** The order is made anew when this share of the blocks that could go has gone: drifting ranks are slow. */
const DRIFT_SHARE = 1 / 8

class MiniatureBlock implements Experienced, Heaped {
  heapAt = -1
  /** The sampled block before it in its chain. */
  parent: MiniatureBlock | null = null
  /** Resident blocks that continue it. */
  children = 0
  lastUse = 0
  born = 0
  firstWanted = Infinity
  uses = 0
  cohort: Cohort | null = null

  constructor(
    readonly key: BlockKey,
    readonly index: number,
  ) {}
}

export class Miniature {
  /** The capacity that it stands for, in blocks. */
  readonly capacity: number
  readonly #policy: PlacementPolicy<Experienced>
  /** Share of all blocks that are followed. */
  readonly #rate: number
  readonly #room: number
  readonly #residents = new Map<BlockKey, MiniatureBlock>()
  /** Those that have left, the longest gone first. */
  readonly #ghosts = new Map<BlockKey, MiniatureBlock>()
  /** Residents that may go. */
  readonly #leaves: BlockHeap<MiniatureBlock>
  /** By group: tokens of followed blocks that were asked for, and of those that were there, scaled up. */
  readonly #followed = new Float64Array(GROUPS)
  readonly #hits = new Float64Array(GROUPS)
  #born = 0
  #goneSinceRebuild = 0

  constructor(capacity: number, policy: PlacementPolicy<Experienced>, mostResidents = MOST_RESIDENTS) {
    this.capacity = capacity
    this.#policy = policy
    this.#rate = Math.min(1, mostResidents / capacity)
    this.#room = Math.max(1, Math.round(capacity * this.#rate))
    this.#leaves = new BlockHeap((a, b) => policy.goesBefore(a, b))
  }

  /** Blocks in it and remembered: bounded by the capacity alone. */
  get size(): number {
    return this.#residents.size + this.#ghosts.size
  }

  /** Each group's estimate of the hit rate. */
  rates(totals: TokenTotals): number[] {
    return ratesOf(totals, group => this.#hits[group] ?? 0, this.#followed)
  }

  /** `firstWanted`: as told to `wanted`, of blocks that come. */
  served(turn: ServedTurn, firstWanted: (key: BlockKey) => number): void {
    this.#count(turn.asked)
    for (const { key, isTail } of turn.asked) if (isTail) this.#takeOver(key)
    const use = this.#policy.begin({
      atMs: turn.atMs,
      newTokens: turn.promptTokens - turn.asked.reduce((sum, { tokens }) => sum + tokens, 0),
      retention: turn.retention,
      capacity: this.#residents.size < this.#room ? 0 : this.#room,
    })
    let parent: MiniatureBlock | null = null
    for (let index = 0; index < turn.chain.length; index++) {
      const key = turn.chain[index] as BlockKey
      if (!this.#isFollowed(key)) continue
      const block = this.#blockOf(key, index, firstWanted)
      block.lastUse = turn.atMs
      use.used(block, turn.hasTail && index === turn.chain.length - 1, this.#residents.has(key))
      this.#enter(block, parent)
      parent = block
    }
    this.#shrink()
  }

  /** The first queued request that wants the block has this arrival number; Infinity: none does. */
  wanted(key: BlockKey, firstWanted: number): void {
    const block = this.#residents.get(key) ?? this.#ghosts.get(key)
    if (!block) return
    block.firstWanted = firstWanted
    if (block.heapAt >= 0) this.#leaves.fix(block)
  }

  halve(): void {
    for (const counts of [this.#followed, this.#hits]) counts.forEach((value, i) => (counts[i] = value / 2))
  }

  #isFollowed(key: BlockKey): boolean {
    return keyWord(key, SAMPLE_WORD) < this.#rate * HASH_RANGE
  }

  /** A block is of use only if all those before it are there. */
  #count(asked: readonly Asked[]): void {
    let isWhole = true
    for (const { key, tokens } of asked) {
      if (!this.#isFollowed(key)) continue
      const group = groupOf(key)
      const weight = tokens / this.#rate
      isWhole &&= this.#residents.has(key)
      this.#followed[group] = (this.#followed[group] ?? 0) + weight
      if (isWhole) this.#hits[group] = (this.#hits[group] ?? 0) + weight
    }
  }

  /** The tokens of the tail live on in a longer block. */
  #takeOver(key: BlockKey): void {
    const block = this.#residents.get(key)
    if (block) this.#leave(block)
    this.#ghosts.delete(key)
  }

  #blockOf(key: BlockKey, index: number, firstWanted: (key: BlockKey) => number): MiniatureBlock {
    const known = this.#residents.get(key) ?? this.#ghosts.get(key)
    if (known) return known
    const block = new MiniatureBlock(key, index)
    block.firstWanted = firstWanted(key)
    return block
  }

  #enter(block: MiniatureBlock, parent: MiniatureBlock | null): void {
    if (this.#residents.has(block.key)) {
      if (block.heapAt >= 0) this.#leaves.fix(block)
      return
    }
    this.#ghosts.delete(block.key)
    this.#residents.set(block.key, block)
    block.born = ++this.#born
    block.parent = parent
    this.#leaves.add(block)
    if (!parent) return
    parent.children++
    if (this.#policy.leavesFirst && parent.heapAt >= 0) this.#leaves.remove(parent)
  }

  #shrink(): void {
    const isStale = this.#goneSinceRebuild > this.#leaves.size * DRIFT_SHARE
    if (this.#policy.drifts && isStale && this.#residents.size > this.#room) {
      this.#leaves.rebuild()
      this.#goneSinceRebuild = 0
    }
    while (this.#residents.size > this.#room) this.#evict(this.#leaves.first as MiniatureBlock)
  }

  #evict(block: MiniatureBlock): void {
    this.#leave(block)
    this.#goneSinceRebuild++
    this.#ghosts.set(block.key, block)
    if (this.#ghosts.size <= this.#room * GHOSTS_A_RESIDENT) return
    for (const oldest of this.#ghosts.keys()) {
      this.#ghosts.delete(oldest)
      return
    }
  }

  #leave(block: MiniatureBlock): void {
    if (block.heapAt >= 0) this.#leaves.remove(block)
    this.#residents.delete(block.key)
    const { parent } = block
    block.parent = null
    if (parent && --parent.children === 0 && this.#policy.leavesFirst && this.#residents.has(parent.key)) this.#leaves.add(parent)
  }
}
