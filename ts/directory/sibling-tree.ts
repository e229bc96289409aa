// The blocks that continue one block, however many: a balanced tree in the order of their token ids. What begins like a
// prompt stands together in that order, and every node knows the best source below it, so a look-up visits a few nodes a
// level, also where all siblings begin alike.

import type { SlotTierName } from '../engine/types.js'
import { perSlotTier, SLOT_TIERS } from '../protocol/tiers.js'
import type { Block } from './block.js'
import type { Pace } from './pace.js'
import { better, checkNode, has, insert, renewPath, walk, without, type Node } from './sibling-node.js'
import { besidePrefix, commonTokens, compareTokens } from './token-order.js'

/** Leading tokens of a prompt, and the block that has their KV. */
export interface Found {
  readonly block: Block
  readonly rows: number
}

/** Of siblings that were computed under other views, a look-up passes over so many; then it finds nothing. */
const MOST_REFUSED = 8

export class SiblingTree {
  #root: Node | null = null
  #size = 0
  readonly #copies: Record<SlotTierName, number> = perSlotTier(() => 0)

  get size(): number {
    return this.#size
  }

  add(block: Block): void {
    this.#root = insert(this.#root, block)
    this.#size++
    for (const tier of SLOT_TIERS) if (block.copies[tier].state !== 'absent') this.#copies[tier]++
  }

  remove(block: Block): void {
    if (!has(this.#root, block)) return
    this.#root = without(this.#root, block)
    this.#size--
    for (const tier of SLOT_TIERS) if (block.copies[tier].state !== 'absent') this.#copies[tier]--
  }

  /** A copy of one of the siblings came (1) or went (-1). */
  count(tier: SlotTierName, change: 1 | -1): void {
    this.#copies[tier] += change
  }

  /** Siblings with a copy, filling or present. */
  copies(tier: SlotTierName): number {
    return this.#copies[tier]
  }

  /** The bytes of one of the block's copies are complete, or no longer there. */
  review(block: Block): void {
    renewPath(this.#root, block)
  }

  /** In the order of their token ids. */
  *[Symbol.iterator](): Iterator<Block> {
    for (const { block } of walk(this.#root)) yield block
  }

  /** As `ChildIndex.best`. */
  best(tokens: Uint32Array, isUsable: (block: Block) => boolean): Found | null {
    const refused = new Set<Block>()
    let rows = mostRows(this.#root, tokens)
    while (rows > 0 && refused.size < MOST_REFUSED) {
      const block = bestWithin(this.#root, { tokens, rows, refused })
      if (block === null) rows = this.#mostServed(tokens, rows - 1, refused)
      else if (isUsable(block)) return { block, rows }
      else refused.add(block)
    }
    return null
  }

  /** Siblings that are shorter than `tokens`, which begin with them; the longest first. */
  beginningsOf(tokens: Uint32Array): Block[] {
    const found: Block[] = []
    for (let length = tokens.length - 1; length > 0; ) {
      const beginning = tokens.subarray(0, length)
      const last = lastUpTo(this.#root, beginning)
      if (!last) break
      const same = commonTokens(last.tokens, beginning)
      if (same === last.valid) {
        pushEqual(this.#root, last.tokens, found)
        length = same - 1
      } else length = same
    }
    return found
  }

  /** Throws unless the tree is in order and in balance, and its counts are right. Stops after every piece. */
  *check(pace: Pace): Iterable<void> {
    let before: Block | null = null
    let size = 0
    const copies = perSlotTier(() => 0)
    for (const node of walk(this.#root)) {
      checkNode(node, before)
      before = node.block
      size++
      for (const tier of SLOT_TIERS) if (node.block.copies[tier].state !== 'absent') copies[tier]++
      if (pace.isOver) yield
    }
    if (size !== this.#size) throw new Error(`${size} siblings, but ${this.#size} are counted`)
    for (const tier of SLOT_TIERS) {
      if (copies[tier] !== this.#copies[tier]) throw new Error(`${tier}: ${copies[tier]} siblings, but ${this.#copies[tier]} are counted`)
    }
  }

  /** The most leading tokens, at most `most`, that a sibling has which is not refused; found by halving. */
  #mostServed(tokens: Uint32Array, most: number, refused: ReadonlySet<Block>): number {
    let low = 0
    let high = most
    while (low < high) {
      const rows = (low + high + 1) >> 1
      if (bestWithin(this.#root, { tokens, rows, refused })) low = rows
      else high = rows - 1
    }
    return low
  }
}

// Look-up

interface Wanted {
  readonly tokens: Uint32Array
  /** Leading ones of `tokens` that a block must have. */
  readonly rows: number
  readonly refused: ReadonlySet<Block>
}

/** The most leading tokens that any sibling shares: those next to where `tokens` would stand lie on the way there. */
function mostRows(root: Node | null, tokens: Uint32Array): number {
  let rows = 0
  for (let node = root; node; ) {
    const { tokens: own } = node.block
    rows = Math.max(rows, commonTokens(own, tokens))
    node = compareTokens(own, tokens) < 0 ? node.right : node.left
  }
  return rows
}

function bestWithin(node: Node | null, wanted: Wanted): Block | null {
  if (!node?.best) return null
  const side = besidePrefix(node.block.tokens, wanted.tokens, wanted.rows)
  if (side !== 0) return bestWithin(side < 0 ? node.right : node.left, wanted)
  return better(own(node, wanted.refused), better(bestOnSide(node.left, wanted, -1), bestOnSide(node.right, wanted, 1)))
}

/** Of a subtree of which only what lies beyond it on one side can be outside: before (-1) or behind (1). */
function bestOnSide(node: Node | null, wanted: Wanted, outside: -1 | 1): Block | null {
  if (!node?.best) return null
  const inner = outside < 0 ? node.right : node.left
  const outer = outside < 0 ? node.left : node.right
  if (besidePrefix(node.block.tokens, wanted.tokens, wanted.rows) !== 0) return bestOnSide(inner, wanted, outside)
  return better(own(node, wanted.refused), better(bestOfAll(inner, wanted.refused), bestOnSide(outer, wanted, outside)))
}

function bestOfAll(node: Node | null, refused: ReadonlySet<Block>): Block | null {
  if (!node?.best || !refused.has(node.best)) return node?.best ?? null
  return better(own(node, refused), better(bestOfAll(node.left, refused), bestOfAll(node.right, refused)))
}

function own({ block }: Node, refused: ReadonlySet<Block>): Block | null {
  return block.tier === null || refused.has(block) ? null : block
}

/** The last sibling that is `tokens` or comes before them. */
function lastUpTo(root: Node | null, tokens: Uint32Array): Block | null {
  let last: Block | null = null
  for (let node = root; node; ) {
    const isUpTo = compareTokens(node.block.tokens, tokens) <= 0
    if (isUpTo) last = node.block
    node = isUpTo ? node.right : node.left
  }
  return last
}

function pushEqual(node: Node | null, tokens: Uint32Array, found: Block[]): void {
  if (!node) return
  const side = compareTokens(node.block.tokens, tokens)
  if (side >= 0) pushEqual(node.left, tokens, found)
  if (side === 0) found.push(node.block)
  if (side <= 0) pushEqual(node.right, tokens, found)
}
