import test from 'ava'
import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { MemoryKeyedTier, MemoryPool } from '../support/memory-keyed-tier.js'
import { tierContract } from './tier.js'
import { KeyedTierOnEngine, SlotTier } from './tiers.js'

const CAPACITY = 8
const SLOTS = { hbm: 24, dram: 8, ssd: CAPACITY }

tierContract(test, 'slots of the ssd', async () => new SlotTier(new SimulatedEngine({ clock: new VirtualClock(), slots: SLOTS })))

tierContract(test, 'keys in memory', async () => {
  const clock = new VirtualClock()
  const engine = new SimulatedEngine({ clock, slots: { ...SLOTS, ssd: 0 } })
  const pool = new MemoryPool((CAPACITY + 0.5) * engine.info.blockBytes, engine.info.blockBytes)
  return new KeyedTierOnEngine(engine, new MemoryKeyedTier(pool, engine, clock), key => pool.damage(key))
})

test('keys in memory: a question is answered later, with what is there then', async t => {
  const clock = new VirtualClock()
  const engine = new SimulatedEngine({ clock, slots: { ...SLOTS, ssd: 0 } })
  const pool = new MemoryPool(CAPACITY * engine.info.blockBytes, engine.info.blockBytes)
  const tier = new MemoryKeyedTier(pool, engine, clock, { delays: { has: () => 100, put: () => 20 } })
  const events: string[] = []
  const asked = tier.has(['key']).then(answers => events.push(`has ${answers.join()} at ${clock.now()}`))
  await tier.put('key', 0).then(() => events.push(`put at ${clock.now()}`))
  await asked
  const start = clock.now() - 100
  t.deepEqual(events, [`put at ${start + 20}`, `has true at ${start + 100}`])
  await engine.close()
})
