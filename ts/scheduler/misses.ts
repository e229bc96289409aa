// Why prompt tokens are computed: what is known of the blocks that a match did not find. Keys are salted by tenant, so
// another tenant's blocks are as unknown as what nobody ever sent.

import type { Directory } from '../directory/directory.js'
import type { Ghost } from '../directory/ghosts.js'
import { BLOCK_TOKENS, type BlockKey } from '../engine/types.js'

/** Tokens by reason. Together they are the tokens that were asked about. */
export interface MissedTokens {
  readonly neverSeen: number
  readonly evicted: number
  readonly damaged: number
  /** Were here, and left longer ago than is remembered. */
  readonly unknown: number
}

/** What became of tokens that were here once. */
export interface Loss {
  readonly tokens: number
  readonly ghost: Ghost
}

export interface Misses {
  readonly tokens: MissedTokens
  readonly losses: readonly Loss[]
}

export const NO_MISSES: Misses = { tokens: { neverSeen: 0, evicted: 0, damaged: 0, unknown: 0 }, losses: [] }

/** A chain of blocks, of which tokens [from, to) were not found. `keys` are those of its full blocks. */
export interface Missed {
  readonly root: BlockKey
  readonly keys: readonly BlockKey[]
  readonly tokens: Uint32Array
  readonly from: number
  readonly to: number
}

/** Those of both. */
export function joinMisses(a: Misses, b: Misses): Misses {
  const tokens = {
    neverSeen: a.tokens.neverSeen + b.tokens.neverSeen,
    evicted: a.tokens.evicted + b.tokens.evicted,
    damaged: a.tokens.damaged + b.tokens.damaged,
    unknown: a.tokens.unknown + b.tokens.unknown,
  }
  return { tokens, losses: [...a.losses, ...b.losses] }
}

type Fate = Ghost | 'unknown' | 'never seen'

/**
 * The reasons for tokens [from, to). A block that is there but lies behind one that is not has that one's reason. The
 * token that the answer is sampled from is computed though its block may be there: nothing was lost, so it counts as
 * never seen.
 */
export function explainMisses(directory: Pick<Directory, 'blocks' | 'ghosts'>, missed: Missed): Misses {
  const count = { evicted: 0, damaged: 0, unknown: 0 }
  const losses: Loss[] = []
  const add = (fate: Fate, tokens: number): void => {
    if (tokens === 0 || fate === 'never seen') return
    if (fate === 'unknown') count.unknown += tokens
    else {
      count[fate.cause === 'damaged' ? 'damaged' : 'evicted'] += tokens
      losses.push({ tokens, ghost: fate })
    }
  }
  let before: Fate = 'never seen'
  for (let index = Math.floor(missed.from / BLOCK_TOKENS); index * BLOCK_TOKENS < missed.to; index++) {
    const from = Math.max(missed.from, index * BLOCK_TOKENS)
    const to = Math.min(missed.to, (index + 1) * BLOCK_TOKENS)
    const fate = fateOf(directory, missed.keys[index], before)
    if (fate === 'never seen') {
      addTail(directory, missed, index, add)
      // Nobody ever had this block, so nobody had what continues it.
      break
    }
    add(fate, to - from)
    before = fate
  }
  const { evicted, damaged, unknown } = count
  return { tokens: { ...count, neverSeen: missed.to - missed.from - evicted - damaged - unknown }, losses }
}

function fateOf({ blocks, ghosts }: Pick<Directory, 'blocks' | 'ghosts'>, key: BlockKey | undefined, before: Fate): Fate {
  if (key === undefined) return 'never seen'
  if (blocks.get(key)?.tier) return before
  return ghosts.get(key) ?? (ghosts.isForgotten(key) ? 'unknown' : 'never seen')
}

/** The leading tokens of the first block that was never full here may have been the tail of an earlier turn. */
function addTail(
  { ghosts }: Pick<Directory, 'ghosts'>,
  { root, keys, tokens, from, to }: Missed,
  index: number,
  add: (fate: Fate, tokens: number) => void,
): void {
  const parent = index === 0 ? root : keys[index - 1]
  const start = index * BLOCK_TOKENS
  const tail = parent === undefined ? undefined : ghosts.tailAfter(parent, tokens.subarray(start, Math.min(to, start + BLOCK_TOKENS)))
  if (tail) add(tail.ghost, Math.max(0, start + tail.rows - Math.max(start, from)))
}
