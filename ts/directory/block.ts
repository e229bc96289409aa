// One block as the directory knows it.

import type { BlockKey, SlotTierName, ViewParameters } from '../engine/types.js'
import type { Cohort } from '../placement/adaptive/cohorts.js'
import type { History } from '../placement/types.js'
import { perSlotTier, SLOT_TIERS } from '../protocol/tiers.js'

/** `filling`: the slot is allotted and its bytes are under way; nobody may be told that the block is there. */
export type CopyState = 'absent' | 'filling' | 'present'

/** The block in one tier. `slot` means something unless absent. */
export interface Copy {
  state: CopyState
  slot: number
  /** Blocks with a copy in the tier that continue this one. */
  children: number
}

function absentCopy(): Copy {
  return { state: 'absent', slot: -1, children: 0 }
}

/**
 * Token ids [index·64, index·64 + tokens.length) of a chain. Created and destroyed by the Directory only, which also
 * keeps `copies`. `refs` counts sequences whose block table names the hbm copy.
 */
export class Block implements History {
  refs = 0
  /** Queued requests that will want it, and the arrival number of the first of them; kept by `want` and `unwant`. */
  wants = 0
  firstWanted = Infinity
  lastUse = 0
  uses = 0
  cohort: Cohort | null = null
  /** A conversation may still see it. false: the last one that used it has moved on, and left it behind. */
  reachable = true
  /** It left and was made again, and no turn has used it since. */
  isBack = false
  /** No longer in the directory. Transfers in flight may still end for it. */
  gone = false
  /** The ssd copy's bytes are flushed. */
  durable = false
  /** The tier below had it and gave it up, or cannot take it: what is above may go without a copy below. */
  releasable = false
  readonly copies: Readonly<Record<SlotTierName, Copy>> = perSlotTier(absentCopy)
  /** Arrival numbers, ascending; null: nobody wants it. */
  #wantedBy: number[] | null = null

  constructor(
    readonly key: BlockKey,
    readonly parent: BlockKey,
    readonly index: number,
    readonly tokens: Uint32Array,
    /** Grows from block to block in the order in which the directory made them. */
    readonly born: number,
    /** The view that its key depends on; null: none, as of all blocks that start before the window. */
    readonly view: ViewParameters | null = null,
  ) {}

  /** Tokens whose KV the block holds. */
  get valid(): number {
    return this.tokens.length
  }

  /** The queued request `ticket` will want it. */
  want(ticket: number): void {
    const tickets = (this.#wantedBy ??= [])
    let at = tickets.length
    while (at > 0 && (tickets[at - 1] as number) > ticket) at--
    tickets.splice(at, 0, ticket)
    this.#count(tickets)
    this.reachable = true
  }

  /** It no longer does. */
  unwant(ticket: number): void {
    const tickets = this.#wantedBy ?? []
    const at = tickets.indexOf(ticket)
    if (at < 0) throw new Error(`request ${ticket} does not want the block`)
    tickets.splice(at, 1)
    if (tickets.length === 0) this.#wantedBy = null
    this.#count(tickets)
  }

  #count(tickets: readonly number[]): void {
    this.wants = tickets.length
    this.firstWanted = tickets[0] ?? Infinity
  }

  has(tier: SlotTierName): boolean {
    return this.copies[tier].state === 'present'
  }

  /** The fastest tier in which the bytes are complete. */
  get tier(): SlotTierName | null {
    for (const tier of SLOT_TIERS) if (this.has(tier)) return tier
    return null
  }
}
