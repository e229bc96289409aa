// A balanced binary tree (AVL) of siblings in the order of their token ids. Every node knows the best source below it.

import type { Block } from './block.js'
import { compareTokens } from './token-order.js'

export interface Node {
  block: Block
  left: Node | null
  right: Node | null
  /** Nodes on the longest way down, itself included. */
  height: number
  /** The best source of those at and below the node; null: none has complete bytes. */
  best: Block | null
}

/**
 * A source in a faster tier is better. A partly filled block in hbm can be extended in place, so in one tier the one with
 * fewer rows is; of equal ones, the older.
 */
function isBetterSource(a: Block, b: Block): boolean {
  const aIsHot = a.has('hbm')
  if (aIsHot !== b.has('hbm')) return aIsHot
  const aIsWarm = a.has('dram')
  if (aIsWarm !== b.has('dram')) return aIsWarm
  return a.valid === b.valid ? a.born < b.born : a.valid < b.valid
}

/** null: no source. */
export function better(a: Block | null, b: Block | null): Block | null {
  if (a === null || b === null) return a ?? b
  return isBetterSource(a, b) ? a : b
}

/** The tree with `block` in it. */
export function insert(node: Node | null, block: Block): Node {
  if (!node) return renew({ block, left: null, right: null, height: 1, best: null })
  if (order(block, node.block) < 0) node.left = insert(node.left, block)
  else node.right = insert(node.right, block)
  return balance(node)
}

/** The tree without `block`. */
export function without(node: Node | null, block: Block): Node | null {
  if (!node) return null
  const side = order(block, node.block)
  if (side === 0) {
    if (!node.left || !node.right) return node.left ?? node.right
    const next = firstOf(node.right)
    node.right = without(node.right, next)
    node.block = next
  } else if (side < 0) node.left = without(node.left, block)
  else node.right = without(node.right, block)
  return balance(node)
}

export function has(root: Node | null, block: Block): boolean {
  let node = root
  while (node && node.block !== block) node = order(block, node.block) < 0 ? node.left : node.right
  return node !== null
}

/** What `block` is as a source has changed: so may the best ones of the nodes above it. */
export function renewPath(node: Node | null, block: Block): void {
  if (!node) return
  const side = order(block, node.block)
  if (side !== 0) renewPath(side < 0 ? node.left : node.right, block)
  node.best = bestBelow(node)
}

/** In order. */
export function* walk(root: Node | null): Iterable<Node> {
  const above: Node[] = []
  for (let node = root; node || above.length > 0; ) {
    for (; node; node = node.left) above.push(node)
    const next = above.pop() as Node
    yield next
    node = next.right
  }
}

/** Throws unless the node stands behind `before`, is in balance, and knows its height and its best source. */
export function checkNode(node: Node, before: Block | null): void {
  if (before && order(before, node.block) >= 0) throw new Error('siblings are out of order')
  const [left, right] = [heightOf(node.left), heightOf(node.right)]
  if (node.height !== 1 + Math.max(left, right)) throw new Error('a node of siblings does not know its height')
  if (Math.abs(left - right) > 1) throw new Error('siblings are out of balance')
  if (node.best !== bestBelow(node)) throw new Error('a node of siblings does not know its best source')
}

/** Siblings of the same tokens were computed under different views. */
function order(a: Block, b: Block): number {
  return compareTokens(a.tokens, b.tokens) || a.born - b.born
}

function firstOf(root: Node): Block {
  let node = root
  while (node.left) node = node.left
  return node.block
}

function heightOf(node: Node | null): number {
  return node?.height ?? 0
}

function bestBelow({ block, left, right }: Node): Block | null {
  const own = block.tier === null ? null : block
  return better(own, better(left?.best ?? null, right?.best ?? null))
}

function renew(node: Node): Node {
  node.height = 1 + Math.max(heightOf(node.left), heightOf(node.right))
  node.best = bestBelow(node)
  return node
}

/** Of a node whose sides differ by two levels at most. */
function balance(node: Node): Node {
  const lean = heightOf(node.left) - heightOf(node.right)
  if (lean > 1) {
    const left = node.left as Node
    if (heightOf(left.left) < heightOf(left.right)) node.left = rotateLeft(left)
    return rotateRight(node)
  }
  if (lean < -1) {
    const right = node.right as Node
    if (heightOf(right.right) < heightOf(right.left)) node.right = rotateRight(right)
    return rotateLeft(node)
  }
  return renew(node)
}

function rotateLeft(node: Node): Node {
  const top = node.right as Node
  node.right = top.left
  top.left = renew(node)
  return renew(top)
}

function rotateRight(node: Node): Node {
  const top = node.left as Node
  node.left = top.right
  top.right = renew(node)
  return renew(top)
}
