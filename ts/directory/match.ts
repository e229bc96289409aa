// What of a prompt is already there.

import { BLOCK_TOKENS, type BlockKey } from '../engine/types.js'
import type { Block } from './block.js'
import type { ChildIndex } from './children.js'
import { reuseLength, type View } from './view.js'

/** A block that serves tokens [index·64, index·64 + rows). */
export interface Source {
  readonly index: number
  readonly block: Block
  readonly rows: number
}

export interface Match {
  /** Reuse length: tokens before it need not be computed. */
  readonly length: number
  /** Sources of the tokens before `length` that the view needs, in chain order. */
  readonly sources: readonly Source[]
}

/**
 * Finds the reuse length of `tokens` and the blocks that serve it. `keys[i]` is the key of full block i of the chain
 * under `root`; full blocks are found by key, so that blocks outside the view need not exist, and beside every absent
 * one the best child of its parent gives its leading rows, if `isUsable` says that it was computed under this view.
 */
export function matchTokens(
  blocks: ReadonlyMap<BlockKey, Block>,
  children: ChildIndex,
  root: BlockKey,
  keys: readonly BlockKey[],
  tokens: Uint32Array,
  view: View,
  isUsable: (block: Block) => boolean,
): Match {
  const found: Array<{ block: Block; rows: number } | null> = []
  for (let index = 0; index * BLOCK_TOKENS < tokens.length; index++) {
    const exact = isFull(index, tokens) ? blocks.get(keys[index] as BlockKey) : undefined
    if (exact && exact.tier !== null) {
      found.push({ block: exact, rows: BLOCK_TOKENS })
      continue
    }
    const parent = index === 0 ? root : keys[index - 1]
    const from = index * BLOCK_TOKENS
    found.push(parent === undefined ? null : children.best(parent, tokens.subarray(from, from + BLOCK_TOKENS), isUsable))
  }
  return sourcesBefore(reuseLength(tokens.length, found.map(f => f?.rows ?? 0), view), found, view)
}

function isFull(index: number, tokens: Uint32Array): boolean {
  return (index + 1) * BLOCK_TOKENS <= tokens.length
}

function sourcesBefore(length: number, found: ReadonlyArray<{ block: Block; rows: number } | null>, view: View): Match {
  const sources: Source[] = []
  const ranges = view(length)
  for (let index = 0; index * BLOCK_TOKENS < length; index++) {
    const from = index * BLOCK_TOKENS
    const rows = Math.min(length - from, BLOCK_TOKENS)
    const hit = found[index]
    const isSeen = ranges.some(([start, end]) => start < from + rows && end > from)
    if (hit && isSeen) sources.push({ index, block: hit.block, rows })
  }
  return { length, sources }
}
