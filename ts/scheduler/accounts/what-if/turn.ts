// A turn as the estimates of other capacities are told of it.

import type { BlockKey } from '../../../engine/types.js'
import type { Retention } from '../../../placement/retention.js'

/** A block that was here before, and the tokens of the prompt in it. */
export interface Asked {
  readonly key: BlockKey
  readonly tokens: number
  /** A partly filled block, which the request takes over into a longer one. */
  readonly isTail: boolean
}

export interface ServedTurn {
  readonly promptTokens: number
  /** The prompt's blocks that were here once, found or not, head first. */
  readonly asked: readonly Asked[]
  /** The blocks that it leaves behind, head first. */
  readonly chain: readonly BlockKey[]
  /** The last one of the chain is partly filled. */
  readonly hasTail: boolean
  /** Milliseconds: when it was served. */
  readonly atMs: number
  readonly retention: Retention
}
