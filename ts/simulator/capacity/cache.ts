// One tier of a number of blocks, replayed a request at a time. The blocks just served compete with the rest. Only blocks that
// no resident block continues may go (a head without its tail still serves, a tail without its head never does), except
// under a policy that knows nothing of chains.

import { BlockHeap } from '../../placement/heap.js'
import type { PlacementPolicy, TurnUse } from '../../placement/types.js'
import type { TraceRequest } from '../traces/trace.js'
import { TraceBlock } from './block.js'

export interface Served {
  /** Leading prompt blocks that were there. */
  readonly hits: number
  /** Prompt blocks that were there, whatever lies before them. */
  readonly present: number
}

/** The order is made anew when this share of the blocks that could go has gone: drifting ranks are slow. */
const DRIFT_SHARE = 1 / 8

export class OneTierCache {
  readonly #policy: PlacementPolicy<TraceBlock>
  readonly #capacity: number
  /** By id; undefined: never seen. Blocks that have left keep their history. */
  readonly #blocks: Array<TraceBlock | undefined> = []
  /** Residents that may go. */
  readonly #leaves: BlockHeap<TraceBlock>
  #resident = 0
  #born = 0
  #goneSinceRebuild = 0

  constructor(capacity: number, policy: PlacementPolicy<TraceBlock>) {
    this.#capacity = capacity
    this.#policy = policy
    this.#leaves = new BlockHeap((a, b) => policy.goesBefore(a, b))
  }

  /** Serves a request of `blockTokens`-token blocks; afterwards at most `capacity` blocks are resident. */
  serve(request: TraceRequest, blockTokens: number, foresee?: (block: TraceBlock, place: number) => void): Served {
    const served = this.#lookUp(request)
    const { atMs, blocks } = request
    const capacity = this.#resident < this.#capacity ? 0 : this.#capacity
    const use = this.#policy.begin({ atMs, newTokens: this.#newTokens(request, blockTokens), capacity })
    let parent: TraceBlock | null = null
    for (let place = 0; place < blocks.length; place++) {
      const block = this.#use(use, blocks[place] as number, parent, request, place)
      foresee?.(block, place)
      this.#enter(block)
      parent = block
    }
    this.#shrink()
    return served
  }

  /** A queued request wants the block from now on. */
  want(id: number, request: number): void {
    const block = this.#blocks[id]
    if (!block || block.firstWanted <= request) return
    block.firstWanted = request
    if (block.heapAt >= 0) this.#leaves.fix(block)
  }

  /** Throws unless the resident blocks fit, are whole chains, and exactly those may go that nothing continues. */
  checkIntegrity(): void {
    let resident = 0
    for (const block of this.#blocks) {
      if (!block?.isResident) continue
      resident++
      this.#checkBlock(block)
    }
    if (resident !== this.#resident) throw new Error(`${resident} blocks are resident, ${this.#resident} are counted`)
    if (resident > this.#capacity) throw new Error(`${resident} blocks in a tier of ${this.#capacity}`)
  }

  #checkBlock({ parent, children, heapAt }: TraceBlock): void {
    const { leavesFirst } = this.#policy
    if (leavesFirst && parent && !parent.isResident) throw new Error('a resident block continues one that is gone')
    const mayGo = !leavesFirst || children === 0
    if (heapAt >= 0 !== mayGo) throw new Error('a block that may go is not where such blocks are, or another one is')
  }

  #lookUp({ blocks, promptBlocks }: TraceRequest): Served {
    let hits = 0
    let present = 0
    for (let place = 0; place < promptBlocks; place++) {
      if (!this.#blocks[blocks[place] as number]?.isResident) continue
      if (hits === place) hits++
      present++
    }
    return { hits, present }
  }

  /** Leading prompt blocks that any request had before, resident or not. */
  #knownBlocks({ blocks, promptBlocks }: TraceRequest): number {
    let known = 0
    while (known < promptBlocks && this.#blocks[blocks[known] as number]) known++
    return known
  }

  /** A known block may be partly filled: what the prompt shares with the turn before ends inside it. */
  #newTokens(request: TraceRequest, blockTokens: number): number {
    const known = Math.min(request.reusableTokens, this.#knownBlocks(request) * blockTokens)
    return Math.max(0, request.inputTokens - known)
  }

  #use(use: TurnUse, id: number, parent: TraceBlock | null, request: TraceRequest, place: number): TraceBlock {
    const block = (this.#blocks[id] ??= new TraceBlock(parent, place))
    block.lastUse = request.atMs
    block.firstWanted = Infinity
    use.used(block, request.hasPartialTail && place === request.blocks.length - 1, block.isResident)
    return block
  }

  #enter(block: TraceBlock): void {
    if (block.isResident) {
      if (block.heapAt >= 0) this.#leaves.fix(block)
      return
    }
    block.isResident = true
    block.born = ++this.#born
    this.#resident++
    this.#leaves.add(block)
    const { parent } = block
    if (!parent) return
    parent.children++
    if (this.#policy.leavesFirst && parent.heapAt >= 0) this.#leaves.remove(parent)
  }

  #shrink(): void {
    const isStale = this.#goneSinceRebuild > this.#leaves.size * DRIFT_SHARE
    if (this.#policy.drifts && isStale && this.#resident > this.#capacity) {
      this.#leaves.rebuild()
      this.#goneSinceRebuild = 0
    }
    while (this.#resident > this.#capacity) this.#evict(this.#leaves.first as TraceBlock)
  }

  #evict(block: TraceBlock): void {
    this.#leaves.remove(block)
    block.isResident = false
    this.#resident--
    this.#goneSinceRebuild++
    const { parent } = block
    if (parent && --parent.children === 0 && this.#policy.leavesFirst) this.#leaves.add(parent)
  }
}
