// The curve told for each tier. Tiers hold copies, so what a tier of c blocks adds is what c most recently used blocks
// have beyond the faster tiers: one curve serves all.

import type { SlotTierName } from '../engine/types.js'
import type { CurvePoint, Gain, TierCurve, WhatIf } from '../protocol/what-if.js'
import { SLOT_TIERS } from '../protocol/tiers.js'
import type { Core } from '../scheduler/core/core.js'

const POINTS = 40
/** The curve goes from this part of the tier's capacity to so many times it, or to where it is flat. */
const SMALLEST = 1 / 32
const LARGEST = 4
/** Capacity is added in these parts of the power of two below what is there. */
const ADDED = [0.5, 1, 2]

const METHOD =
  'Estimated while requests pass: reuse distances of blocks sampled by the hash of their keys (SHARDS), in the stack of a ' +
  'least-recently-used cache that gives up tails first. The error is that of the sampling (95 %).'

export function whatIf(core: Core): WhatIf {
  const { curve, options } = core
  return {
    requests: curve.requests,
    samplingRate: curve.samplingRate,
    sampledBlocks: curve.sampledBlocks,
    method: METHOD,
    policy: options.policy,
    isPolicyModelled: options.policy === 'lru',
    tiers: SLOT_TIERS.map(name => tierCurve(core, name)),
  }
}

function tierCurve(core: Core, name: SlotTierName): TierCurve {
  const { curve, directory, engine } = core
  const slotBytes = name === 'hbm' ? engine.info.blockBytes : engine.info.hostSlotBytes
  const own = directory.pools[name].total
  const above = blocksAbove(core, name)
  const point = (blocks: number): CurvePoint => ({ bytes: blocks * slotBytes, ...curve.at(Math.max(blocks, above)) })
  const gain = (added: number): Gain => {
    const from = Math.max(own, above)
    const more = Math.max(own + added, above) - from
    const { hitRate } = curve.at(from)
    const { error, hitRate: raised } = curve.gain(from, more)
    return { addBytes: added * slotBytes, from: hitRate, to: Math.min(1, hitRate + raised), error }
  }
  return {
    name,
    capacityBytes: own * slotBytes,
    current: point(own),
    measuredHitRate: measured(core, name),
    points: capacities(own, curve.workingSet).map(point),
    gains: additions(own, curve.workingSet).map(gain),
  }
}

/** Blocks that the largest faster tier holds. */
function blocksAbove({ directory }: Core, name: SlotTierName): number {
  return Math.max(0, ...SLOT_TIERS.slice(0, SLOT_TIERS.indexOf(name)).map(faster => directory.pools[faster].total))
}

function measured({ counters }: Core, name: SlotTierName): number {
  const tiers = SLOT_TIERS.slice(0, SLOT_TIERS.indexOf(name) + 1)
  const reused = tiers.reduce((sum, tier) => sum + counters.reused[tier], 0)
  return counters.promptTokens === 0 ? 0 : reused / counters.promptTokens
}

/** Capacities in blocks, ascending: nothing, then evenly by ratio. */
function capacities(own: number, workingSet: number): number[] {
  const last = Math.max(LARGEST * own, 1.25 * workingSet, 2)
  const first = Math.max(1, Math.min(own || workingSet, workingSet || own) * SMALLEST)
  const steps = Array.from({ length: POINTS }, (_, i) => Math.round(first * (last / first) ** (i / (POINTS - 1))))
  return [0, ...new Set(steps)]
}

function additions(own: number, workingSet: number): number[] {
  const power = 2 ** Math.floor(Math.log2(Math.max(2, own || workingSet)))
  return ADDED.map(part => part * power)
}
