// What of a prompt is already there.

import { BLOCK_TOKENS, type BlockKey } from '../engine/types.js'
import type { Block } from './block.js'
import type { ChildIndex } from './children.js'
import type { Existence } from './inquiry.js'
import { reuseLength, type TokenRanges, type View } from './view.js'

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
  /**
   * Full blocks that no slot holds and that would lengthen the reuse, if all of them are where it is not known that they are
   * not; in chain order. Only where the match asked for them.
   */
  readonly elsewhere?: readonly Elsewhere[]
}

/** A full block that a key-addressed tier has, or may have. */
export interface Elsewhere {
  readonly index: number
  readonly key: BlockKey
  readonly existence: Exclude<Existence, 'absent'>
}

/** Tells by its key whether a block is outside the slots. */
export type ExistenceOf = (key: BlockKey) => Existence

/**
 * Finds the reuse length of `tokens` and the blocks that serve it. `keys[i]` is the key of full block i of the chain
 * under `root`; full blocks are found by key, so that blocks outside the view need not exist, and beside every absent
 * one the best child of its parent gives its leading rows, if `isUsable` says that it was computed under this view.
 * `existenceOf` is asked of full blocks that no slot holds: "not known yet" is an answer, and lengthens nothing.
 */
export function matchTokens(
  blocks: ReadonlyMap<BlockKey, Block>,
  children: ChildIndex,
  root: BlockKey,
  keys: readonly BlockKey[],
  tokens: Uint32Array,
  view: View,
  isUsable: (block: Block) => boolean,
  existenceOf?: ExistenceOf,
): Match {
  const found: Found[] = []
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
  const match = sourcesBefore(reuseLength(tokens.length, found.map(rowsOf), view), found, view)
  return existenceOf ? { ...match, elsewhere: elsewhereOf({ keys, tokens, view }, found, match.length, existenceOf) } : match
}

type Found = { readonly block: Block; readonly rows: number } | null

function rowsOf(found: Found): number {
  return found?.rows ?? 0
}

/** The blocks that would make the reuse longer than `length`. */
function elsewhereOf(
  { keys, tokens, view }: { readonly keys: readonly BlockKey[]; readonly tokens: Uint32Array; readonly view: View },
  found: readonly Found[],
  length: number,
  existenceOf: ExistenceOf,
): Elsewhere[] {
  const hoped = found.map((hit, index): Elsewhere | null => {
    const key = isFull(index, tokens) && rowsOf(hit) < BLOCK_TOKENS ? keys[index] : undefined
    const existence = key === undefined ? 'absent' : existenceOf(key)
    return key === undefined || existence === 'absent' ? null : { index, key, existence }
  })
  const hopedLength = reuseLength(tokens.length, found.map((hit, index) => (hoped[index] ? BLOCK_TOKENS : rowsOf(hit))), view)
  if (hopedLength <= length) return []
  const ranges = view(hopedLength)
  return hoped.filter((block): block is Elsewhere => block !== null && isSeen(block.index, hopedLength, ranges))
}

function isFull(index: number, tokens: Uint32Array): boolean {
  return (index + 1) * BLOCK_TOKENS <= tokens.length
}

function sourcesBefore(length: number, found: readonly Found[], view: View): Match {
  const sources: Source[] = []
  const ranges = view(length)
  for (let index = 0; index * BLOCK_TOKENS < length; index++) {
    const from = index * BLOCK_TOKENS
    const rows = Math.min(length - from, BLOCK_TOKENS)
    const hit = found[index]
    if (hit && isSeen(index, length, ranges)) sources.push({ index, block: hit.block, rows })
  }
  return { length, sources }
}

/** The token at `length`, which sees these ranges, sees tokens of block `index` before itself. */
function isSeen(index: number, length: number, ranges: TokenRanges): boolean {
  const from = index * BLOCK_TOKENS
  const to = Math.min(length, from + BLOCK_TOKENS)
  return ranges.some(([start, end]) => start < to && end > from)
}
