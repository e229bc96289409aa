// Memory of the native engine's tiers comes when it is asked for.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { createNativeEngine } from '../../ts/engine/native/index.js'
import type { EngineEvent, TierCommitted, SlotTierName } from '../../ts/engine/types.js'
import { DEVICE, KERNELS, ON_GPU } from '../support/device.js'
import { defaultModelPath } from '../support/model.js'

const FIXTURE = fileURLToPath(new URL('../fixtures/models/llama/hf', import.meta.url))
const MIB = 2 ** 20
const TIER_BYTES = 300 * MIB

function residentBytes(): number {
  const pages = Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1])
  return pages * 4096
}

async function open() {
  const engine = await createNativeEngine({
    modelPath: ON_GPU ? (defaultModelPath() ?? FIXTURE) : FIXTURE,
    device: DEVICE,
    kernelCacheDir: KERNELS,
    threads: 1,
    maxBatchTokens: 64,
    hbmBytes: TIER_BYTES,
    dramBytes: TIER_BYTES,
    ssdBytes: 0,
    kvDtype: 'bf16',
  })
  const told: TierCommitted[] = []
  let heard = (): void => {}
  engine.onEvents = (events: readonly EngineEvent[]) => {
    for (const event of events) if (event.kind === 'committed') told.push(event)
    heard()
  }
  /** Resolves when an event of the tier tells of at least `slots`. */
  const committed = async (tier: SlotTierName, slots: number): Promise<void> => {
    while (!told.some((event) => event.tier === tier && event.slots >= slots)) await new Promise<void>((resolve) => (heard = resolve))
  }
  return { engine, told, committed }
}

test.serial('an engine opens with the first 64 MiB of each tier, and takes the rest when it is asked to', async (t) => {
  const before = residentBytes()
  const { engine, told, committed } = await open()
  const { info } = engine
  t.true(residentBytes() < before + 2 * TIER_BYTES - 200 * MIB)
  const bytes = { hbm: info.blockBytes, dram: info.hostSlotBytes }
  for (const tier of ON_GPU ? (['dram'] as const) : (['hbm', 'dram'] as const)) {
    t.true(info.committed[tier] < info.slots[tier])
    t.true(Math.abs(info.committed[tier] * bytes[tier] - 64 * MIB) <= Math.max(bytes[tier], ON_GPU ? 64 * MIB : 0))
    engine.grow(tier, info.slots[tier])
    await committed(tier, info.slots[tier])
  }
  t.true(residentBytes() > before + (ON_GPU ? 1 : 2) * (TIER_BYTES - 30 * MIB), `${residentBytes() - before} bytes more`)
  const steps = told.filter(({ tier }) => tier === 'dram').map(({ slots }) => slots)
  t.true(steps.length >= 3, 'it comes in steps')
  t.deepEqual(steps, steps.toSorted((a, b) => a - b))
  t.deepEqual(told.filter(({ error }) => error !== undefined), [])
  const many = told.length
  engine.grow('dram', info.slots.dram)
  engine.grow('dram', 0xffff_ffff)
  await engine.close()
  t.is(told.length, many, 'what is there is not told again')
})

test.serial('an engine that is closed while its memory grows closes', async (t) => {
  const { engine } = await open()
  engine.grow('dram', engine.info.slots.dram)
  engine.grow('hbm', engine.info.slots.hbm)
  await engine.close()
  t.throws(() => engine.grow('dram', 1), { message: /closed/ })
})
