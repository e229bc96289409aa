// The tiers' slots for the map page, and the queue in front of them.

import type { Block } from '../directory/block.js'
import type { SlotTierName } from '../engine/types.js'
import { perTier, SLOT_TIERS } from '../protocol/tiers.js'
import { CELL_STATES, NO_AGE, type CacheMap, type Owner, type Queue, type QueuedRequest, type TierMap } from '../protocol/cache-map.js'
import type { Core } from '../scheduler/core/core.js'
import type { Scheduler } from '../scheduler/loop/scheduler.js'
import type { Sequence } from '../scheduler/sequence/sequence.js'

/** Cells of a tier's map at most; in a larger tier several slots share one. */
const MOST_CELLS = 8192
/** Conversations that a map names at most; the rest are told as unknown. */
const MOST_OWNERS = 1024
/** Requests at the front of the queue that are told. */
const MOST_QUEUED = 64

/** Numbers of the states. */
const STATE = {
  free: CELL_STATES.indexOf('free'),
  resting: CELL_STATES.indexOf('cached'),
  waiting: CELL_STATES.indexOf('waiting'),
  moving: CELL_STATES.indexOf('moving'),
  running: CELL_STATES.indexOf('running'),
}

const UNKNOWN: Owner = { conversation: '', tenant: '' }

export function cacheMap(core: Core, scheduler: Scheduler): Omit<CacheMap, 'uptimeMs'> {
  const owners = new OwnerIndex(core)
  return {
    policy: core.options.policy,
    tiers: SLOT_TIERS.map(tier => tierMap(core, tier, owners)),
    owners: owners.list,
    queue: queueOf(core, scheduler),
  }
}

/** Numbers the owners in the order in which their blocks are met. */
class OwnerIndex {
  readonly list: Owner[] = [UNKNOWN]
  readonly #core: Core
  readonly #numbers = new Map<string, number>()

  constructor(core: Core) {
    this.#core = core
  }

  of(block: Block): number {
    const owner = this.#core.journal.ownerOf(block)
    if (!owner) return 0
    const name = `${owner.tenant} ${owner.conversation}`
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    if (this.list.length > MOST_OWNERS) return 0
    this.#numbers.set(name, this.list.length)
    return this.list.push(owner) - 1
  }
}

function tierMap(core: Core, tier: SlotTierName, owners: OwnerIndex): TierMap {
  const { directory, clock } = core
  const slots = directory.pools[tier].total
  const cells = new Cells(slots)
  // A sequence writes its own slots of hbm; elsewhere a reserved slot waits for bytes.
  for (const slot of directory.reserved[tier]) cells.mark(slot, tier === 'hbm' ? STATE.running : STATE.moving, null)
  for (const block of directory.inTier[tier]) cells.mark(block.copies[tier].slot, stateOf(block, tier), block)
  return { name: tier, slots, ...cells.encoded(clock.now(), owners) }
}

function stateOf(block: Block, tier: SlotTierName): number {
  if (block.copies[tier].state === 'filling') return STATE.moving
  if (block.refs > 0) return STATE.running
  return block.wants > 0 ? STATE.waiting : STATE.resting
}

/** What is asked of every block is little, because there may be hundreds of thousands; the rest is asked of cells. */
class Cells {
  readonly #slotsPerCell: number
  readonly #states: Uint8Array
  /** The block of each cell that was used last. */
  readonly #youngest: Array<Block | null>

  constructor(slots: number) {
    this.#slotsPerCell = Math.max(1, Math.ceil(slots / MOST_CELLS))
    const cells = Math.ceil(slots / this.#slotsPerCell)
    this.#states = new Uint8Array(cells)
    this.#youngest = Array.from({ length: cells }, () => null)
  }

  mark(slot: number, state: number, block: Block | null): void {
    const cell = Math.floor(slot / this.#slotsPerCell)
    if (state > (this.#states[cell] ?? 0)) this.#states[cell] = state
    const other = this.#youngest[cell]
    if (block && (!other || block.lastUse > other.lastUse)) this.#youngest[cell] = block
  }

  encoded(now: number, owners: OwnerIndex): Pick<TierMap, 'slotsPerCell' | 'states' | 'ages' | 'owners'> {
    const ages = this.#youngest.map((block, cell) => (this.#states[cell] === STATE.free ? NO_AGE : ageOf(now - (block?.lastUse ?? now))))
    const numbers = Buffer.alloc(2 * this.#youngest.length)
    this.#youngest.forEach((block, cell) => numbers.writeUInt16LE(block ? owners.of(block) : 0, 2 * cell))
    return {
      slotsPerCell: this.#slotsPerCell,
      states: Buffer.from(this.#states).toString('base64'),
      ages: Buffer.from(ages).toString('base64'),
      owners: numbers.toString('base64'),
    }
  }
}

function ageOf(ms: number): number {
  return Math.min(NO_AGE - 1, Math.floor(Math.log2(1 + Math.max(0, ms) / 1000)))
}

function queueOf({ clock }: Core, { waiting, moves }: Scheduler): Queue {
  const window = Math.min(waiting.length, moves.prefetcher.length)
  const front: QueuedRequest[] = []
  for (const sequence of waiting) {
    if (front.length === MOST_QUEUED) break
    front.push(queuedRequest(sequence, clock.now(), front.length < window))
  }
  return { length: waiting.length, window, front }
}

function queuedRequest(sequence: Sequence, now: number, isInWindow: boolean): QueuedRequest {
  const blocks = perTier(() => 0)
  for (const block of sequence.wants.blocks) if (block.tier) blocks[block.tier]++
  return {
    requestId: sequence.requestId,
    conversation: sequence.turn.conversation,
    tenant: sequence.tenant,
    waitingMs: Math.max(0, now - sequence.times.queued),
    promptTokens: sequence.history.length,
    blocks,
    isInWindow,
  }
}
