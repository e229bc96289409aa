// The things that all parts of the scheduler share: the engine, the directory, the clock, the counters, the costs.

import type { Clock } from '../../engine/clock.js'
import type { Engine, LowerTierName, Transfer } from '../../engine/types.js'
import type { Block } from '../../directory/block.js'
import { Directory } from '../../directory/directory.js'
import { conversationKey } from '../../conversations/registry.js'
import { ExitError } from '../../protocol/errors.js'
import { LOWER_TIERS, SLOT_TIERS } from '../../protocol/tiers.js'
import { createPolicy } from '../../placement/registry.js'
import { Counters } from '../accounts/counters.js'
import { DiskWatch } from './disk-watch.js'
import { EventBus } from './events.js'
import { Flushes } from './flushes.js'
import { TierGrowth } from './growth.js'
import { KeyedDesk } from './keyed-desk.js'
import { TransferDesk } from './transfer-desk.js'
import { CostModel } from '../costs/cost-model.js'
import { MachineMeter } from '../costs/machine.js'
import type { ServiceOptions } from './options.js'
import { Journal } from '../accounts/trail.js'
import { HitRateCurve } from '../accounts/what-if/curve.js'

/** Which tiers take part. */
export interface Tiers extends Readonly<Record<LowerTierName, boolean>> {
  /** Blocks are kept after a turn at all. */
  readonly keeps: boolean
  /** dram is a tier of its own; false: at most staging on the way to ssd. */
  readonly dram: boolean
  /** hbm is saved to something. */
  readonly saves: boolean
}

export interface Core {
  readonly engine: Engine
  readonly options: ServiceOptions
  readonly clock: Clock
  readonly events: EventBus
  readonly directory: Directory
  readonly counters: Counters
  readonly costs: CostModel
  readonly machine: MachineMeter
  readonly journal: Journal
  readonly curve: HitRateCurve
  readonly desk: TransferDesk
  readonly disk: DiskWatch
  readonly flushes: Flushes
  readonly growth: TierGrowth
  /** null: there is no key-addressed tier. */
  readonly keyed: KeyedDesk | null
  readonly tiers: Tiers
}

/** The line of the log for one that failed. Saves, writes and flushes are tried again; the part that gives them up says so. */
const FAILED: Readonly<Partial<Record<Transfer['kind'], string>>> = {
  load: 'a load failed',
  read: 'a read failed',
  copy: 'a copy failed',
  erase: 'an erasure failed',
  erase_foreign: 'an erasure of a block of another model failed',
}

export function createCore(engine: Engine, options: ServiceOptions): Core {
  const { slots, committed, dramStagingOnly } = engine.info
  const keeps = !options.noReuse
  const dram = keeps && slots.dram > 0 && !dramStagingOnly
  const ssd = keeps && slots.ssd > 0 && slots.dram > 0
  const now = () => options.clock.now()
  const events = new EventBus()
  const counters = new Counters()
  events.on('transferFailed', (kind, code, detail) => {
    counters.failedTransfers.add(kind, code)
    const message = FAILED[kind]
    if (message !== undefined) options.onFault({ message, code, context: detail === undefined ? {} : { detail } })
  })
  const journal = new Journal(now)
  const machine = new MachineMeter(engine, options)
  // A turn that is not released yet refers to nothing, but may have left something already.
  const lastUserOf = (block: Block): string | null => {
    const owner = journal.ownerOf(block)
    return owner ? conversationKey(owner.tenant, owner.conversation) : null
  }
  const disk = new DiskWatch(options.clock, options.onDisk)
  const desk = new TransferDesk(engine, events, disk)
  const { keyedTier: tier } = options
  if (tier && keeps && !dram) throw new ExitError(2, 'keyed_tier_without_dram', 'The key-addressed tier needs a dram tier, and the dram tier is off.')
  const directory = new Directory(slots, {
    committed,
    policy: createPolicy(options.policy),
    now,
    onSsdSlotLeft: slot => events.emit('ssdSlotLeft', slot),
    onBlockLeaving: block => keyed?.leaving(block),
    lastUserOf,
  })
  const keyed = tier && dram ? new KeyedDesk({ tier, directory, counters, events }) : null
  const growth = new TierGrowth(engine, directory.pools, options)
  events.on('extentGivenUp', extent => growth.gaveUp(extent))
  return {
    engine,
    options,
    clock: options.clock,
    events,
    directory,
    counters,
    costs: new CostModel(options.clock, machine),
    machine,
    journal,
    curve: new HitRateCurve({ policy: options.policy, capacities: reachOf(directory) }),
    desk,
    disk,
    flushes: new Flushes(desk),
    growth,
    keyed,
    tiers: { keeps, dram, ssd, saves: dram || ssd },
  }
}

/** Blocks that each tier and those above it hold together: tiers hold copies, so it is what the largest of them holds. */
function reachOf({ pools }: Directory): number[] {
  return SLOT_TIERS.map((_, at) => Math.max(...SLOT_TIERS.slice(0, at + 1).map(tier => pools[tier].total)))
}

/** The block's bytes lie in a tier below hbm. */
export function isSaved(block: Block): boolean {
  for (const tier of LOWER_TIERS) if (block.has(tier)) return true
  return false
}
