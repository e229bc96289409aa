// Placement: pure functions from what is resident to what should go. One file a policy; the server and the simulator
// call the same ones.

/** What a policy knows of a block that may leave a tier. A smaller `lastUse` is longer ago. */
export interface Resident {
  /** Milliseconds: the last time a turn used the block. All blocks of one turn carry the same stamp. */
  readonly lastUse: number
  /** Position of the block in its chain; tails have larger ones. */
  readonly index: number
  /** Arrival number of the first queued request that wants the block; Infinity: none. */
  readonly firstWanted: number
}

export type PolicyName = 'lru'

export interface PlacementPolicy {
  readonly name: PolicyName
  /**
   * Up to `count` residents to give up, first to go first. The caller guarantees that every resident may go; the
   * policy MUST NOT keep state between calls, and MUST name a block before the blocks that it continues.
   */
  victims<T extends Resident>(residents: Iterable<T>, count: number): T[]
}
