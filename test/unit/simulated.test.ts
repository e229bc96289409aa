import test from 'ava'
import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { ContractViolation } from '../../ts/engine/simulated/hazards.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { encodeText, decodeTokens } from '../../ts/engine/simulated/vocabulary.js'
import type { EngineEvent } from '../../ts/engine/types.js'
import type { EngineError } from '../../ts/protocol/errors.js'
import { EngineDriver, generate, tablesOf, written } from '../contracts/driver.js'

const slots = { hbm: 8, dram: 4, ssd: 4 }
const prompt = Uint32Array.from({ length: 100 }, (_, i) => 97 + (i % 20))

function open(): EngineDriver {
  return new EngineDriver(new SimulatedEngine({ clock: new VirtualClock(), slots }))
}

test('a slot that holds something else changes the tokens: wrong KV shows', async t => {
  const answer = async (second: number) => {
    const driver = open()
    const first = driver.add(prompt)
    await driver.step({ tables: tablesOf(first.sequence, [0, 1]), rows: [{ sequence: first.sequence, from: 0, count: 99, sample: false }] })
    const spec = driver.add(prompt)
    return (await generate(driver, spec, 6, { computed: 99, tables: tablesOf(spec.sequence, [0, second]) })).tokens
  }
  t.notDeepEqual(await answer(5), await answer(1))
})

test('rows beyond the valid length are not saved', async t => {
  const driver = open()
  const { sequence, root } = driver.add(prompt)
  await driver.step({ tables: tablesOf(sequence, [0, 1]), rows: [{ sequence, from: 0, count: 64, sample: false }] })
  await driver.transfer({ kind: 'save', hbmSlot: 0, dramSlot: 0, valid: 40 })
  const spec = driver.add(prompt.slice(0, 50), { root })
  void driver.transfer({ kind: 'load', dramSlot: 0, hbmSlot: 4 })
  const wrong = await generate(driver, spec, 6, { computed: 49, tables: tablesOf(spec.sequence, [4]) })
  const right = driver.add(prompt.slice(0, 50), { root })
  t.notDeepEqual(wrong.tokens, (await generate(driver, right, 6, { tables: tablesOf(right.sequence, [5]) })).tokens)
})

const violations: Record<string, (driver: EngineDriver, sequence: number) => unknown> = {
  'a load into a slot that an unanswered step names': driver => driver.engine.transfer([{ id: 9, kind: 'load', dramSlot: 0, hbmSlot: 0 }]),
  'a read into a dram slot that is being loaded from': driver => {
    driver.engine.transfer([{ id: 8, kind: 'load', dramSlot: 0, hbmSlot: 5 }])
    driver.engine.transfer([{ id: 9, kind: 'read', ssdSlot: 0, dramSlot: 0, key: 'k', valid: 1 }])
  },
  'a write into an ssd slot that is being read': driver => {
    driver.engine.transfer([{ id: 8, kind: 'read', ssdSlot: 0, dramSlot: 0, key: 'k', valid: 1 }])
    driver.engine.transfer([{ id: 9, kind: 'write', dramSlot: 1, ssdSlot: 0, block: written('k', 1) }])
  },
  'a slot that does not exist': driver => driver.engine.transfer([{ id: 9, kind: 'save', hbmSlot: 99, dramSlot: 0, valid: 1 }]),
  'a row without a slot': (driver, sequence) =>
    driver.engine.submit({ step: 50, resets: [], tables: [], rows: [{ sequence, from: 64, count: 64, sample: false }], saves: [] }),
  'an unknown sequence': driver =>
    driver.engine.submit({ step: 50, resets: [], tables: [], rows: [{ sequence: 77, from: 0, count: 1, sample: false }], saves: [] }),
  'more rows than a step takes': (driver, sequence) =>
    driver.engine.submit({ step: 50, resets: [], tables: [], rows: [{ sequence, from: 0, count: 5000, sample: false }], saves: [] }),
  'dropping a sequence that a step names': (driver, sequence) => driver.engine.dropSequence(sequence),
}
for (const [name, violate] of Object.entries(violations)) {
  test(`${name} is a contract violation`, t => {
    const driver = open()
    const { sequence } = driver.add(prompt)
    void driver.step({ tables: tablesOf(sequence, [0]), rows: [{ sequence, from: 0, count: 64, sample: false }] })
    t.throws(() => violate(driver, sequence), { instanceOf: ContractViolation })
  })
}

test('a failed load makes the rows that need it void, until the table is emptied', async t => {
  let fails = true
  const engine = new SimulatedEngine({ clock: new VirtualClock(), slots, faults: { fails: ({ kind }) => (kind === 'load' && fails ? 'io' : undefined) } })
  const driver = new EngineDriver(engine)
  const { sequence } = driver.add(prompt)
  void driver.transfer({ kind: 'load', dramSlot: 0, hbmSlot: 0 })
  const row = { sequence, from: 64, count: 36, sample: true }
  const reply = await driver.step({ tables: tablesOf(sequence, [0, 1]), rows: [row] })
  t.is(reply.rows[0]?.status, 'void')
  t.is((await driver.step({ rows: [row] })).rows[0]?.status, 'void')
  fails = false
  const whole = { sequence, from: 0, count: 100, sample: true }
  t.is((await driver.step({ resets: [sequence], tables: tablesOf(sequence, [2, 3]), rows: [whole] })).rows[0]?.status, 'ok')
})

test('an engine that fails says so once, reports nothing more, refuses every call and closes', async t => {
  const clock = new VirtualClock()
  const engine = new SimulatedEngine({ clock, slots })
  const driver = new EngineDriver(engine)
  const { sequence } = driver.add(prompt)
  const events: EngineEvent[] = []
  engine.onEvents = batch => void events.push(...batch)
  void driver.step({ tables: tablesOf(sequence, [0]), rows: [{ sequence, from: 0, count: 64, sample: false }] })
  engine.transfer([{ id: 9, kind: 'save', hbmSlot: 3, dramSlot: 0, valid: 1 }])
  engine.fail('device_lost', 'the device is gone')
  engine.fail('device_lost', 'again')
  await clock.advance(10_000)
  t.deepEqual(events, [{ kind: 'failed', code: 'device_lost', message: 'the device is gone' }])
  const calls = [() => driver.add(prompt), () => engine.dropSequence(sequence), () => engine.transfer([]), () => driver.step({})]
  for (const call of calls) t.is((t.throws(call) as EngineError).code, 'engine_closed')
  await engine.close()
})

test('a failure before anybody listens is told to the one who does', async t => {
  const engine = new SimulatedEngine({ clock: new VirtualClock(), slots })
  engine.fail('device_lost', 'the device is gone')
  const events = await new Promise<readonly EngineEvent[]>(resolve => (engine.onEvents = resolve))
  t.deepEqual(events, [{ kind: 'failed', code: 'device_lost', message: 'the device is gone' }])
})

test('a step waits for the loads that it needs, and says how long', async t => {
  const engine = new SimulatedEngine({ clock: new VirtualClock(), slots, faults: { slowdown: () => 1000 } })
  const driver = new EngineDriver(engine)
  const { sequence } = driver.add(prompt)
  void driver.transfer({ kind: 'load', dramSlot: 0, hbmSlot: 0 })
  const reply = await driver.step({ tables: tablesOf(sequence, [0, 1]), rows: [{ sequence, from: 64, count: 36, sample: true }] })
  t.true(reply.loadStallMs > 0)
  t.is(engine.stats().loadStallMs, reply.loadStallMs)
})

test('the toy tokenizer is lossless, and sampled ids need not be canonical', t => {
  const text = 'the rest is naïve, é and ß 🦊'
  t.is(decodeTokens(encodeText(text)), text)
  t.notDeepEqual(encodeText('the'), [...Buffer.from('the')])
})

test('a virtual clock runs timers in order, and advances for foreground ones only', async t => {
  const clock = new VirtualClock(0)
  const ran: string[] = []
  clock.after(20, () => ran.push(`b ${clock.now()}`))
  clock.after(10, () => ran.push(`a ${clock.now()}`))
  clock.after(5, () => ran.push('never'))()
  clock.after(1000, () => ran.push('background'), { background: true })
  await new Promise<void>(resolve => clock.after(30, resolve))
  t.deepEqual(ran, ['a 10', 'b 20'])
  t.is(clock.now(), 30)
  await clock.advance(2000)
  t.deepEqual(ran, ['a 10', 'b 20', 'background'])
  t.is(clock.now(), 2030)
})
