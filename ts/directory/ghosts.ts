// Blocks that left their last tier: what a later miss is explained by, and what placement learnt of them while they were
// there. Keys are salted by tenant, so whoever knows a key may know what became of its block.

import { BLOCK_TOKENS, type BlockKey, type SlotTierName } from '../engine/types.js'
import type { History } from '../placement/types.js'
import { sumTiers } from '../protocol/tiers.js'
import { KeyFilter } from './key-filter.js'
import { LostTails } from './lost-tails.js'

/** Why a block left its last tier. */
export type LossCause = 'evicted' | 'write_queue_full' | 'damaged' | 'reset' | 'ttl'

export interface Ghost {
  /** Milliseconds, as the clock says. */
  readonly at: number
  readonly cause: LossCause
  /** The tier that it was in last. */
  readonly tier: SlotTierName
  /** The policy that chose it; null: nobody chose, it was removed. */
  readonly policy: string | null
  readonly history: History
}

/** What a ghost is made of. Of a partly filled block, also what it followed and held. */
export interface Leaving extends History {
  readonly parent?: BlockKey
  readonly tokens?: Uint32Array
}

export interface LeftTail {
  readonly key: BlockKey
  readonly ghost: Ghost
  /** Leading tokens that it shares with what was asked for. */
  readonly rows: number
}

export interface GhostOptions {
  /** Ghosts remembered at most; the oldest is forgotten first. */
  readonly capacity: number
  /** The policy that chooses victims. */
  readonly policy: string
  readonly now: () => number
}

/** Ghosts for each slot: of blocks that have been away longer, placement learns nothing more. */
const GHOSTS_A_SLOT = 5
/** About 60 MiB. */
const MOST_GHOSTS = 262_144
/** Keys of forgotten ghosts that are remembered for each ghost, in 4 bytes each. */
const FORGOTTEN_A_GHOST = 8

/** How many ghosts a cache of so many slots remembers. */
export function ghostCapacity(slots: Readonly<Record<SlotTierName, number>>): number {
  return Math.min(MOST_GHOSTS, GHOSTS_A_SLOT * sumTiers(slots))
}

export class Ghosts {
  readonly #options: GhostOptions
  /** In the order in which they left. */
  readonly #ghosts = new Map<BlockKey, Ghost>()
  readonly #tails = new LostTails()
  readonly #forgotten: KeyFilter

  constructor(options: GhostOptions) {
    this.#options = options
    this.#forgotten = new KeyFilter(FORGOTTEN_A_GHOST * options.capacity)
  }

  get size(): number {
    return this.#ghosts.size
  }

  /** What became of the block; undefined: it never left, came back, or left too long ago. */
  get(key: BlockKey): Ghost | undefined {
    return this.#ghosts.get(key)
  }

  /** The partly filled block that left from behind `parent` and shares the most leading tokens with `tokens`. */
  tailAfter(parent: BlockKey, tokens: Uint32Array): LeftTail | undefined {
    const tail = this.#tails.best(parent, tokens)
    const ghost = tail && this.#ghosts.get(tail.key)
    return tail && ghost ? { ...tail, ghost } : undefined
  }

  /** The block was here, and its ghost is forgotten; one key in some hundreds is taken for such a one by mistake. */
  isForgotten(key: BlockKey): boolean {
    return this.#forgotten.mayHold(key)
  }

  /** The block, which these conversations used, is leaving `tier`, its last. */
  left(key: BlockKey, tier: SlotTierName, cause: LossCause, { uses, cohort, parent, tokens }: Leaving, users: readonly string[] = []): void {
    const { capacity, policy, now } = this.#options
    const isChosen = cause === 'evicted' || cause === 'write_queue_full'
    this.#ghosts.delete(key)
    this.#ghosts.set(key, { at: now(), cause, tier, policy: isChosen ? policy : null, history: { uses, cohort } })
    if (parent !== undefined && tokens && tokens.length < BLOCK_TOKENS) this.#tails.add({ key, parent, tokens, users })
    if (this.#ghosts.size > capacity) this.#forget(this.#ghosts.keys().next().value as BlockKey)
  }

  /** Forgets the tokens that are remembered of a conversation. Of whole blocks there are only keys. */
  erase(conversation: string): void {
    for (const key of this.#tails.of(conversation)) this.#drop(key)
  }

  /** The block is back: its ghost, which is one no longer. */
  returned(key: BlockKey): Ghost | undefined {
    const ghost = this.#ghosts.get(key)
    if (ghost) this.#drop(key)
    return ghost
  }

  #forget(key: BlockKey): void {
    this.#forgotten.add(key)
    this.#drop(key)
  }

  #drop(key: BlockKey): void {
    this.#ghosts.delete(key)
    this.#tails.remove(key)
  }
}
