// The tiers' slots for the map page, and the queue in front of them.

import { TIERS, type Block } from '../directory/block.js'
import type { TierName } from '../engine/types.js'
import { CELL_STATES, NO_AGE, type CacheMap, type CellState, type Owner, type Queue, type QueuedRequest, type TierMap } from '../protocol/cache-map.js'
import type { Core } from './core.js'
import { perTier } from './counters.js'
import type { Scheduler } from './scheduler.js'
import type { Sequence } from './sequence.js'

/** Cells of a tier's map at most; in a larger tier several slots share one. */
const MOST_CELLS = 8192
/** Conversations that a map names at most; the rest are told as unknown. */
const MOST_OWNERS = 1024
/** Requests at the front of the queue that are told. */
const MOST_QUEUED = 64

const UNKNOWN: Owner = { conversation: '', tenant: '' }

export function cacheMap(core: Core, scheduler: Scheduler): Omit<CacheMap, 'uptimeMs'> {
  const owners = new OwnerIndex(core)
  return {
    policy: core.options.policy,
    tiers: TIERS.map(tier => tierMap(core, tier, owners)),
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

function tierMap(core: Core, tier: TierName, owners: OwnerIndex): TierMap {
  const { directory, clock } = core
  const slots = directory.pools[tier].total
  const cells = new Cells(slots, clock.now())
  // A sequence writes its own slots of hbm; elsewhere a reserved slot waits for bytes.
  for (const slot of directory.reserved[tier]) cells.mark(slot, tier === 'hbm' ? 'running' : 'moving', clock.now(), 0)
  for (const block of directory.inTier[tier]) {
    cells.mark(block.copies[tier].slot, stateOf(block, tier), block.lastUse, owners.of(block))
  }
  return { name: tier, slots, ...cells.encoded() }
}

function stateOf(block: Block, tier: TierName): CellState {
  if (block.copies[tier].state === 'filling') return 'moving'
  if (block.refs > 0) return 'running'
  return block.wants > 0 ? 'waiting' : 'cached'
}

class Cells {
  readonly #slotsPerCell: number
  readonly #now: number
  readonly #states: Uint8Array
  readonly #ages: Uint8Array
  readonly #owners: Uint16Array

  constructor(slots: number, now: number) {
    this.#now = now
    this.#slotsPerCell = Math.max(1, Math.ceil(slots / MOST_CELLS))
    const cells = Math.ceil(slots / this.#slotsPerCell)
    this.#states = new Uint8Array(cells)
    this.#ages = new Uint8Array(cells).fill(NO_AGE)
    this.#owners = new Uint16Array(cells)
  }

  mark(slot: number, state: CellState, lastUse: number, owner: number): void {
    const cell = Math.floor(slot / this.#slotsPerCell)
    const age = Math.min(NO_AGE - 1, Math.floor(Math.log2(1 + Math.max(0, this.#now - lastUse) / 1000)))
    this.#states[cell] = Math.max(this.#states[cell] ?? 0, CELL_STATES.indexOf(state))
    if (age > (this.#ages[cell] ?? NO_AGE)) return
    this.#ages[cell] = age
    this.#owners[cell] = owner
  }

  encoded(): Pick<TierMap, 'slotsPerCell' | 'states' | 'ages' | 'owners'> {
    const owners = Buffer.alloc(2 * this.#owners.length)
    this.#owners.forEach((owner, cell) => owners.writeUInt16LE(owner, 2 * cell))
    return {
      slotsPerCell: this.#slotsPerCell,
      states: Buffer.from(this.#states.buffer).toString('base64'),
      ages: Buffer.from(this.#ages.buffer).toString('base64'),
      owners: owners.toString('base64'),
    }
  }
}

function queueOf({ clock }: Core, { waiting, prefetcher }: Scheduler): Queue {
  const window = Math.min(waiting.length, prefetcher.length)
  const front: QueuedRequest[] = []
  for (const sequence of waiting) {
    if (front.length === MOST_QUEUED) break
    front.push(queuedRequest(sequence, clock.now(), front.length < window))
  }
  return { length: waiting.length, window, front }
}

function queuedRequest(sequence: Sequence, now: number, isInWindow: boolean): QueuedRequest {
  const blocks = perTier()
  for (const block of sequence.wanted) if (block.tier) blocks[block.tier]++
  return {
    requestId: sequence.requestId,
    conversation: sequence.turn.conversation,
    tenant: sequence.tenant,
    waitingMs: Math.max(0, now - sequence.queuedAt),
    promptTokens: sequence.history.length,
    blocks,
    isInWindow,
  }
}
