// Placement: from what is resident to what should go. One file a policy; the server and the simulator call the same ones.

import type { Cohort } from './adaptive/cohorts.js'
import type { Retention } from './retention.js'

/** A block that may leave a tier, as a policy knows it. A smaller `lastUse` is longer ago. */
export interface Resident {
  /** Milliseconds: the last time a turn used the block. All blocks of one turn carry the same stamp. */
  readonly lastUse: number
  /** Position of the block in its chain; tails have larger ones. */
  readonly index: number
  /** Arrival number of the first queued request that wants the block; Infinity: none. */
  readonly firstWanted: number
  /** Grows from block to block in the order in which they came into the cache. */
  readonly born: number
}

/** The history of a block that a learning policy keeps, also after the block has left: a return is learnt from. */
export interface History {
  /** Turns that used it. */
  uses: number
  /** Blocks that it grows old with; null: never used. */
  cohort: Cohort | null
}

/** A block with a history. */
export interface Experienced extends Resident, History {}

/** One turn, as far as a policy wants to know. */
export interface TurnFacts {
  /** Milliseconds. */
  readonly atMs: number
  /** Prompt tokens that it does not share with what came before. */
  readonly newTokens: number
  /** @default none */
  readonly retention?: Retention
  /** Blocks that the cache holds, once it is full and others have to go for new ones. @default 0: it is not full */
  readonly capacity?: number
}

/** A turn that uses blocks. */
export interface TurnUse {
  /** The turn uses `block`, which was or was not still there. Telling it again changes nothing. */
  used(block: History, isPartialTail: boolean, wasThere: boolean): void
}

/** Policies that a server can run: they need to know nothing of the future but the queue. */
export type PolicyName = 'fifo' | 'lru' | 'scheduler-aware' | 'adaptive'

export interface PlacementPolicy<R extends Resident = Resident> {
  readonly name: string
  /** A block that a resident one continues stays. Not so for the baseline that knows nothing of chains. */
  readonly leavesFirst: boolean
  /** Ranks change with time alone: an order made of them has to be made anew now and then. */
  readonly drifts: boolean
  /** Whether `a` is given up before `b`: a strict order at any one moment, tail before head at equal worth. */
  goesBefore(a: R, b: R): boolean
  /**
   * Up to `count` residents to give up, first to go first. The caller guarantees that every resident may go; the policy
   * MUST NOT keep what it chose between calls.
   */
  victims<T extends R>(residents: Iterable<T>, count: number): T[]
  /** A turn begins. Turns may overlap. */
  begin(turn: TurnFacts): TurnUse
}
