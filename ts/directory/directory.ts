// The directory: which keys exist, in which tiers and slots, and who refers to them. The only allocator of slots.

import { systemClock } from '../engine/clock.js'
import { BLOCK_TOKENS, type BlockKey, type SlotTierName, type ViewParameters } from '../engine/types.js'
import { keyedView } from '../engine/view.js'
import { lru } from '../placement/lru.js'
import type { Experienced, PlacementPolicy, TurnUse } from '../placement/types.js'
import { LOWER_TIERS, perSlotTier, SLOT_TIERS, TIERS } from '../protocol/tiers.js'
import { Block } from './block.js'
import { ChildIndex } from './children.js'
import { ghostCapacity, Ghosts, type LossCause } from './ghosts.js'
import { checkDirectory } from './integrity.js'
import { LeafOrder } from './leaf-order.js'
import { matchTokens, type ExistenceOf, type Match } from './match.js'
import { walkAll } from './pace.js'
import { ANYONE, Remains } from './remains.js'
import { Reservation, type SlotKeeper } from './reservation.js'
import { SlotPool } from './slots.js'
import { BlockUsers } from './users.js'
import type { View } from './view.js'

export interface DirectoryOptions {
  /** Slots whose memory is there, of the tiers where not all have it. @default all of them */
  readonly committed: Readonly<Partial<Record<SlotTierName, number>>>
  /** Which blocks go first. @default lru */
  readonly policy: PlacementPolicy<Experienced>
  /** Milliseconds. @default the machine's clock */
  readonly now: () => number
  /** Told of an ssd slot that holds its block no longer. @default nobody */
  readonly onSsdSlotLeft: (slot: number) => void
  /** Told of a block that is about to leave, while its users are known. @default nothing */
  readonly onBlockLeaving: (block: Block) => void
  /** Name of the conversation that used the block last, which may refer to nothing yet; null: none is known. @default none */
  readonly lastUserOf: (block: Block) => string | null
}

/**
 * A slot is in exactly one of five places: free, cooling (both in its SlotPool), reserved (a sequence writes it, or a
 * save whose block has no key yet), or a block's copy, filling or present.
 */
/** Share of the lowest tier's slots. */
const FULL_FROM = 15 / 16

export class Directory implements SlotKeeper {
  readonly pools: Readonly<Record<SlotTierName, SlotPool>>
  readonly blocks = new Map<BlockKey, Block>()
  /** Blocks with a copy, filling or present, by tier. */
  readonly inTier: Readonly<Record<SlotTierName, Set<Block>>> = perSlotTier(() => new Set())
  /** Of these, what no conversation sees any more; some may be seen again. */
  readonly leftBehind: Readonly<Record<SlotTierName, Set<Block>>> = perSlotTier(() => new Set())
  readonly reserved: Readonly<Record<SlotTierName, Set<number>>> = perSlotTier(() => new Set())
  readonly children = new ChildIndex()
  /** In which order the blocks of a tier would go. */
  readonly orders: Readonly<Record<SlotTierName, LeafOrder>>
  /** Blocks that left, and why. */
  readonly ghosts: Ghosts
  readonly policy: PlacementPolicy<Experienced>
  /** Milliseconds. */
  readonly now: () => number
  /** What lies in ssd slots that were given up. */
  readonly remains = new Remains()
  /** Which conversations use which blocks. */
  readonly users = new BlockUsers()
  readonly #onSsdSlotLeft: (slot: number) => void
  readonly #onBlockLeaving: (block: Block) => void
  readonly #lastUserOf: (block: Block) => string | null
  #born = 0

  constructor(slots: Readonly<Record<SlotTierName, number>>, options: Partial<DirectoryOptions> = {}) {
    const { committed = {}, policy = lru, now = () => systemClock.now(), onSsdSlotLeft = () => {}, onBlockLeaving = () => {}, lastUserOf = () => null } = options
    this.policy = policy
    this.now = now
    this.#onSsdSlotLeft = onSsdSlotLeft
    this.#onBlockLeaving = onBlockLeaving
    this.#lastUserOf = lastUserOf
    this.pools = perSlotTier(tier => new SlotPool(slots[tier], committed[tier]))
    this.orders = perSlotTier(tier => new LeafOrder(tier, policy))
    this.ghosts = new Ghosts({ capacity: ghostCapacity(slots), policy: policy.name, now })
  }

  /** Grows whenever a slot or a block may have become available. */
  get version(): number {
    let version = 0
    for (const tier of SLOT_TIERS) version += this.pools[tier].version
    return version
  }

  /** Blocks that are here, if the lowest tier is full but for what is kept free for writing; else 0. */
  get fullCapacity(): number {
    const lowest = this.pools[SLOT_TIERS.findLast(tier => this.pools[tier].total > 0) ?? 'hbm']
    return lowest.used < lowest.total * FULL_FROM ? 0 : this.blocks.size
  }

  /**
   * What of `tokens` is there for whoever sees them through `view`. A block found by its tokens and not by its key is
   * taken only if `isUsable` says that its key is that of this view. With `existenceOf`, the match also names the blocks
   * that only a key-addressed tier may have.
   */
  match(
    root: BlockKey,
    keys: readonly BlockKey[],
    tokens: Uint32Array,
    view: View,
    isUsable: (block: Block) => boolean = () => true,
    existenceOf?: ExistenceOf,
  ): Match {
    return matchTokens(this.blocks, this.children, root, keys, tokens, view, isUsable, existenceOf)
  }

  /** Takes a free slot for bytes that have no key yet; null: none is free. */
  reserve(tier: SlotTierName): Reservation | null {
    const slot = this.pools[tier].take()
    return slot < 0 ? null : this.#reservation(tier, slot)
  }

  /** Takes those of the slots that are free. */
  reserveFree(tier: SlotTierName, slots: ReadonlySet<number>): Reservation[] {
    return this.pools[tier].takeFree(slots).map(slot => this.#reservation(tier, slot))
  }

  /** Gives a reserved slot back; it cools while something in flight names it. */
  unreserve(tier: SlotTierName, slot: number): void {
    if (!this.reserved[tier].delete(slot)) throw new Error(`${tier} slot ${slot} is not reserved`)
    this.pools[tier].give(slot)
  }

  /**
   * The block with this key, created without a copy if need be, with the history of its ghost. The caller must give it
   * a copy at once. `view`: its sequence's.
   */
  obtain(key: BlockKey, parent: BlockKey, index: number, tokens: Uint32Array, view: ViewParameters | null = null): Block {
    const known = this.blocks.get(key)
    if (known) return known
    const block = new Block(key, parent, index, tokens, ++this.#born, keyedView(view, index))
    const ghost = this.ghosts.returned(key)
    if (ghost) Object.assign(block, ghost.history, { isBack: true })
    this.blocks.set(key, block)
    this.children.add(block)
    for (const tier of SLOT_TIERS) block.copies[tier].children = this.children.copies(key, tier)
    return block
  }

  /** A turn uses the block: it is the youngest now, and the policy learns of it. */
  use(block: Block, turn: TurnUse): void {
    block.lastUse = this.now()
    block.reachable = true
    turn.used(block, block.valid < BLOCK_TOKENS, !block.isBack)
    block.isBack = false
  }

  /** The conversation that used the block has moved on. Unless another uses or wants it, it is the first to go. */
  leaveBehind(block: Block): void {
    if (block.gone || block.refs > 0 || block.wants > 0) return
    block.reachable = false
    for (const tier of SLOT_TIERS) if (block.copies[tier].state !== 'absent') this.leftBehind[tier].add(block)
  }

  /** A reserved slot becomes the block's copy: filling, or present if its bytes are complete. */
  adopt(block: Block, tier: SlotTierName, slot: number, state: 'filling' | 'present'): void {
    if (block.copies[tier].state !== 'absent') throw new Error(`the block has a ${tier} copy already`)
    if (!this.reserved[tier].delete(slot)) throw new Error(`${tier} slot ${slot} is not reserved`)
    block.copies[tier].slot = slot
    block.copies[tier].state = state
    this.inTier[tier].add(block)
    if (!block.reachable) this.leftBehind[tier].add(block)
    this.pools[tier].version++
    this.orders[tier].review(block)
    if (state === 'present') this.children.review(block)
    this.#countChild(block, tier, 1)
  }

  /** The bytes of a filling copy are complete: from now on the block may be found there. */
  complete(block: Block, tier: SlotTierName): void {
    if (block.copies[tier].state !== 'filling') throw new Error(`the ${tier} copy is not filling`)
    block.copies[tier].state = 'present'
    this.children.review(block)
    this.pools[tier].version++
    if (tier === 'ssd') this.remains.rewritten(block.copies.ssd.slot)
  }

  /** The sole owner extends a block in place: its hbm slot is a reserved one again. */
  takeOver(block: Block): Reservation {
    const slot = block.copies.hbm.slot
    this.#detach(block, 'hbm')
    this.#forgetIfEmpty(block)
    return this.#reservation('hbm', slot)
  }

  /**
   * Removes one copy and, if it was the last, the block; `cause` then says why, to whoever asks for it again. Without a
   * cause, what it held lives on in another block.
   */
  removeCopy(block: Block, tier: SlotTierName, cause?: LossCause): void {
    if (block.copies[tier].state === 'absent') return
    const slot = block.copies[tier].slot
    const leavesTokens = cause !== undefined && block.valid < BLOCK_TOKENS
    const users = tier === 'ssd' || leavesTokens ? this.usersOf(block) : []
    this.#detach(block, tier)
    this.pools[tier].give(slot)
    if (tier === 'ssd') {
      this.remains.left(slot, users)
      this.#onSsdSlotLeft(slot)
    }
    if (this.#forgetIfEmpty(block) && cause) this.ghosts.left(block.key, tier, cause, block, users)
  }

  /**
   * Takes a block whose bytes cannot be trusted out of sight, with all its copies. Sequences that name its hbm slot
   * keep the slot, reserved, until the last of them calls `unref`.
   */
  orphan(block: Block): void {
    if (block.gone) return
    const { hbm } = block.copies
    if (block.refs > 0 && hbm.state !== 'absent') {
      this.#detach(block, 'hbm')
      this.reserved.hbm.add(hbm.slot)
    }
    const users = this.usersOf(block)
    for (const tier of SLOT_TIERS) this.removeCopy(block, tier, 'damaged')
    if (this.#forgetIfEmpty(block)) this.ghosts.left(block.key, 'hbm', 'damaged', block, users)
  }

  /**
   * The bytes for the block's hbm slot did not arrive; its copies below are sound. A new block, which is returned, gets them,
   * and the old one goes out of sight, as in `orphan`. null: there is nothing below.
   */
  renew(block: Block): Block | null {
    if (block.gone) return null
    const { dram, ssd } = block.copies
    const kept = LOWER_TIERS.filter(tier => block.has(tier) && (tier !== 'ssd' || block.durable)).map(tier => ({ tier, slot: block.copies[tier].slot }))
    if (kept.length === 0 || dram.state === 'filling' || ssd.state === 'filling') {
      this.orphan(block)
      return null
    }
    const { key, parent, index, tokens, view, lastUse, uses, cohort, reachable, durable } = block
    const users = [...this.users.of(block)]
    for (const { tier, slot } of kept) {
      this.#detach(block, tier)
      this.reserved[tier].add(slot)
    }
    this.orphan(block)
    // Not from its ghost: the block was not lost.
    this.ghosts.returned(key)
    const fresh = this.obtain(key, parent, index, tokens, view)
    Object.assign(fresh, { lastUse, uses, cohort, reachable, isBack: false })
    for (const { tier, slot } of kept) this.adopt(fresh, tier, slot, 'present')
    fresh.durable = durable && fresh.has('ssd')
    for (const user of users) this.users.add(user, fresh)
    return fresh
  }

  /**
   * Takes a block that nobody may find again out of sight, with all its copies, also those that are being filled.
   * Returns its ssd slot, reserved, for its bytes to be overwritten; null: it had none. Until they are, the slot holds
   * remains of anyone: its conversation may be forgotten by then. No sequence may use the block.
   */
  withdraw(block: Block): Reservation | null {
    if (block.refs > 0 || block.wants > 0) throw new Error('a block that is in use cannot be withdrawn')
    const { state, slot } = block.copies.ssd
    let own: Reservation | null = null
    if (state !== 'absent') {
      this.#detach(block, 'ssd')
      own = this.#reservation('ssd', slot)
      this.remains.left(slot, [ANYONE])
      this.#onSsdSlotLeft(slot)
    }
    for (const tier of SLOT_TIERS) this.removeCopy(block, tier)
    this.#forgetIfEmpty(block)
    return own
  }

  /** A sequence's block table names the hbm copy. */
  ref(block: Block): void {
    block.refs++
    this.orders.hbm.review(block)
  }

  /** The sequence no longer does; `lastStep` is the last step that named the slot. */
  unref(block: Block, lastStep: number): void {
    if (block.refs === 0) throw new Error('a block is released more often than it was taken')
    const { slot } = block.copies.hbm
    this.pools.hbm.nameInStep(slot, lastStep)
    block.refs--
    this.orders.hbm.review(block)
    this.pools.hbm.version++
    if (block.gone && block.refs === 0) this.unreserve('hbm', slot)
  }

  /** Siblings that `block` makes superfluous: partly filled, with the same beginning, used by nobody. */
  superseded(block: Block): Block[] {
    return this.children.beginningsOf(block).filter(sibling => sibling.refs === 0)
  }

  /** Throws if used + free ≠ total, a slot is owned twice, a key has no bytes, or a count is wrong. */
  checkIntegrity(): void {
    walkAll(this.checks())
  }

  /** The same a piece at a time, as long as nothing changes. */
  checks(): Iterable<void> {
    return checkDirectory(this)
  }

  #reservation(tier: SlotTierName, slot: number): Reservation {
    this.reserved[tier].add(slot)
    return new Reservation(this, tier, slot)
  }

  /** Names of the conversations that use the block, or used it last. */
  usersOf(block: Block): readonly string[] {
    const users = new Set(this.users.of(block))
    const last = this.#lastUserOf(block)
    if (last !== null) users.add(last)
    return [...users]
  }

  #detach(block: Block, tier: SlotTierName): void {
    const wasFound = block.has(tier)
    block.copies[tier].state = 'absent'
    if (wasFound) this.children.review(block)
    this.inTier[tier].delete(block)
    this.leftBehind[tier].delete(block)
    if (TIERS[tier].isDurable) block.durable = false
    this.pools[tier].version++
    this.orders[tier].review(block)
    this.#countChild(block, tier, -1)
  }

  /** A copy of the block came or went: the block that it continues may be a leaf no longer, or again. */
  #countChild(block: Block, tier: SlotTierName, change: 1 | -1): void {
    this.children.count(block, tier, change)
    const parent = this.blocks.get(block.parent)
    if (!parent) return
    parent.copies[tier].children += change
    this.orders[tier].review(parent)
  }

  /** True: the block had no copy left, and is gone now. */
  #forgetIfEmpty(block: Block): boolean {
    if (block.gone || SLOT_TIERS.some(tier => block.copies[tier].state !== 'absent')) return false
    this.#onBlockLeaving(block)
    block.gone = true
    this.blocks.delete(block.key)
    this.children.remove(block)
    this.users.forgetBlock(block)
    return true
  }
}
