// The curve told for each tier. Tiers hold copies, so what a tier of c blocks adds is what c blocks of the policy's choice
// have beyond the faster tiers: one curve serves all.

import type { SlotTierName } from '../engine/types.js'
import type { CurvePoint, Gain, TierCurve, WhatIf } from '../protocol/what-if.js'
import { SLOT_TIERS } from '../protocol/tiers.js'
import { anchored, anchoredError } from '../scheduler/accounts/what-if/anchor.js'
import type { Core } from '../scheduler/core/core.js'

const POINTS = 40
/** The curve goes from this part of the tier's capacity to so many times it, or to where it is flat. */
const SMALLEST = 1 / 32
const LARGEST = 4
/** Capacity is added in these parts of the power of two below what is there. */
const ADDED = [0.5, 1, 2]

const BY_STACK =
  'reuse distances of blocks sampled by the hash of their keys (SHARDS), in the stack of a least-recently-used cache that gives up tails first.'
const BY_MINIATURE = 'the policy itself runs at other capacities too, each with a sample of the blocks in a cache that is smaller by the same ratio.'
const ANCHORED = 'The curve goes through the rate that was measured; its error (95 %) is that of the sampling, and what measuring moved it by.'

export function whatIf(core: Core): WhatIf {
  const { curve, options } = core
  return {
    requests: curve.requests,
    samplingRate: curve.samplingRate,
    sampledBlocks: curve.sampledBlocks,
    method: `Estimated while requests pass: ${options.policy === 'lru' ? BY_STACK : BY_MINIATURE} ${ANCHORED}`,
    policy: options.policy,
    tiers: SLOT_TIERS.map(name => tierCurve(core, name)),
  }
}

function tierCurve(core: Core, name: SlotTierName): TierCurve {
  const { curve, directory, engine } = core
  const slotBytes = name === 'hbm' ? engine.info.blockBytes : engine.info.hostSlotBytes
  const own = directory.pools[name].total
  const { above, at } = estimates(core, name)
  const point = (blocks: number): CurvePoint => ({ bytes: blocks * slotBytes, ...at(Math.max(blocks, above)) })
  const current = point(own)
  const gain = (added: number): Gain => {
    const { bytes, hitRate, error } = point(own + added)
    return { addBytes: bytes - own * slotBytes, from: current.hitRate, to: hitRate, error }
  }
  return {
    name,
    capacityBytes: own * slotBytes,
    current,
    modelledHitRate: curve.at(Math.max(own, above)).hitRate,
    points: capacities(own, curve.workingSet).map(point),
    gains: additions(own, curve.workingSet).map(gain),
  }
}

/** `above`: blocks that the largest faster tier holds. `at`: the estimate for the tier and those above it, by blocks. */
function estimates({ curve, directory }: Core, name: SlotTierName) {
  const faster = SLOT_TIERS.slice(0, SLOT_TIERS.indexOf(name))
  const above = Math.max(0, ...faster.map(tier => directory.pools[tier].total))
  const present = Math.max(directory.pools[name].total, above)
  const anchor = { modelled: curve.at(present).hitRate, measured: curve.measured([...faster, name]), attainable: curve.attainable }
  const at = (blocks: number): Omit<CurvePoint, 'bytes'> => {
    if (blocks === 0) return { hitRate: 0, error: 0 }
    if (blocks === present) return { hitRate: anchor.measured, error: 0 }
    const { hitRate: modelled } = curve.at(blocks)
    const hitRate = anchored(modelled, anchor)
    return { hitRate, error: anchoredError(curve.difference(present, blocks), hitRate - modelled, blocks / present) }
  }
  return { above, at }
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
