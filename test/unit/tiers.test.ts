import test from 'ava'
import type { Transfer } from '../../ts/engine/types.js'
import { written } from '../contracts/driver.js'
import { LANES, perStream, STREAM_NAMES, wayOf, type LaneName } from '../../ts/protocol/lanes.js'
import { LOWER_TIERS, perSlotTier, perTier, SLOT_TIERS, sumTiers, TIER_NAMES, TIERS, tiersAbove } from '../../ts/protocol/tiers.js'

test('the tiers are told fastest first, and those that outlive a restart come last', (t) => {
  t.deepEqual(TIER_NAMES, ['hbm', 'dram', 'ssd'])
  const durable = TIER_NAMES.map((name) => TIERS[name].isDurable)
  t.deepEqual(durable, durable.toSorted((a, b) => Number(a) - Number(b)))
})

test('slot tiers are those whose address is a slot, and all but the fastest are lower ones', (t) => {
  t.deepEqual(SLOT_TIERS, TIER_NAMES.filter((name) => TIERS[name].address === 'slot'))
  t.is(LOWER_TIERS.join(), SLOT_TIERS.slice(1).join())
  t.deepEqual(SLOT_TIERS.map(tiersAbove), SLOT_TIERS.map((_, at) => SLOT_TIERS.slice(0, at)))
})

test('a value for each tier is asked for in the order of the tiers, and a missing one counts as nothing', (t) => {
  t.deepEqual(Object.keys(perTier(() => 0)), [...TIER_NAMES])
  t.deepEqual(perSlotTier((tier) => SLOT_TIERS.indexOf(tier)), { hbm: 0, dram: 1, ssd: 2 })
  t.is(sumTiers({ hbm: 1, ssd: 4 }), 5)
})

test('a lane leads between neighbours, up to the faster or down to the slower, or stays in its tier', (t) => {
  const turn = { up: -1, down: 1, beside: 0 }
  for (const name of Object.keys(LANES) as LaneName[]) {
    const { from, to, direction } = LANES[name]
    t.is(SLOT_TIERS.indexOf(to) - SLOT_TIERS.indexOf(from), turn[direction], name)
  }
  t.deepEqual(STREAM_NAMES, ['load', 'save', 'read', 'write'])
  t.deepEqual(Object.keys(perStream(() => 0)), [...STREAM_NAMES])
  t.is(wayOf('load'), 'dram → hbm')
})

test('a transfer names a slot of each end of its lane', (t) => {
  const block = { key: 'k', valid: 64 }
  const transfers: Transfer[] = [
    { id: 0, kind: 'load', dramSlot: 1, hbmSlot: 2 },
    { id: 1, kind: 'save', hbmSlot: 1, dramSlot: 2, valid: 64 },
    { id: 2, kind: 'read', ssdSlot: 1, dramSlot: 2, ...block },
    { id: 3, kind: 'write', dramSlot: 1, ssdSlot: 2, block: written('k') },
  ]
  for (const transfer of transfers) {
    const { from, to } = LANES[transfer.kind as LaneName]
    t.deepEqual(Object.keys(transfer).filter((field) => field.endsWith('Slot')), [`${from}Slot`, `${to}Slot`])
  }
})
