// The end of the engine, as a service sees it: everybody is told, nothing waits for ever, each turn counts once.

import test from 'ava'
import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { EngineError, type ApiError } from '../../ts/protocol/errors.js'
import { createInferenceService } from '../../ts/service/service.js'
import type { InferenceService, Turn } from '../../ts/service/types.js'
import { ask, chat, readTurn, simulatedService, type SimulatedService } from '../support/simulated-service.js'

const endless = chat([{ role: 'user', content: 'tell me everything' }], { ignoreEos: true, maxTokens: 1000 })
const long = chat([{ role: 'user', content: 'long enough to fill some blocks. '.repeat(16) }], { conversation: 'long' })

/** The code of the error that it rejects with; null: it did not. */
async function codeOf(work: Promise<unknown>): Promise<string | null> {
  return work.then(
    () => null,
    (error: unknown) => (error as ApiError).code,
  )
}

/** One turn runs, one waits. */
async function busy(options: Parameters<typeof simulatedService>[1] = {}): Promise<SimulatedService & { readonly turns: readonly Turn[] }> {
  const served = simulatedService({}, { maxRunning: 1, ...options })
  const turns = [await served.service.start(endless), await served.service.start(endless)]
  return { ...served, turns }
}

function outcomes(service: InferenceService) {
  return { ...service.counters().requestsTotal, records: service.records.page(undefined, 10).records.map(({ status, error }) => `${status} ${error}`) }
}

const FAILED_TWICE = { ok: 0, cancelled: 0, failed: 2, rejected: 0, records: ['failed engine_error', 'failed engine_error'] }

test('when the engine fails, what runs and what waits ends with its reason, and new work is refused', async t => {
  const { engine, service, turns } = await busy()
  t.is(service.failure, null)
  const ended = Promise.all(turns.map(turn => codeOf(readTurn(turn))))
  engine.fail('device_lost', 'the device is gone')
  t.deepEqual(await ended, ['engine_error', 'engine_error'])
  t.deepEqual(outcomes(service), FAILED_TWICE)
  t.false(service.ready)
  t.regex(service.failure?.message ?? '', /the device is gone \(device_lost\)/)
  t.is<unknown, unknown>(await service.failed, service.failure)
  t.is(await codeOf(service.start(endless)), 'engine_error')
})

test('what has ended with the engine is not ended again when the service closes', async t => {
  const { engine, service, turns } = await busy()
  engine.fail('device_lost', 'the device is gone')
  await service.close(10_000)
  await Promise.all(turns.map(turn => codeOf(readTurn(turn))))
  t.deepEqual(outcomes(service), FAILED_TWICE)
})

const calls: Record<string, (engine: SimulatedEngine, refuse: () => never) => void> = {
  plan: (engine, refuse) => (engine.submit = refuse),
  transfer: (engine, refuse) => (engine.transfer = refuse),
  'new sequence': (engine, refuse) => (engine.addSequence = refuse),
}
for (const [name, replace] of Object.entries(calls)) {
  test(`an engine that refuses a ${name} has failed, whatever it reports`, async t => {
    const { engine, service, clock, turns } = await busy()
    replace(engine, () => {
      throw new EngineError('engine_closed', 'the engine is closed')
    })
    const late = await service.start(long)
    turns[0]?.cancel()
    t.is(await codeOf(readTurn(late)), 'engine_error')
    t.is(await codeOf(readTurn(turns[1] as Turn)), 'engine_error')
    await clock.advance(1000)
    t.is(service.failure?.context['engine_code'], 'engine_closed')
    t.deepEqual(outcomes(service), { ...FAILED_TWICE, cancelled: 1, records: [...FAILED_TWICE.records, 'cancelled null'] })
  })
}

test('an engine that refuses to forget a sequence has failed', async t => {
  const { engine, service, turns } = await busy()
  engine.dropSequence = () => {
    throw new EngineError('engine_closed', 'the engine is closed')
  }
  turns[0]?.cancel()
  t.is(await codeOf(readTurn(turns[1] as Turn)), 'engine_error')
  t.is((await service.failed).context['engine_code'], 'engine_closed')
})

test('an engine that refuses a flush outside of any turn has failed', async t => {
  const { engine, service, clock } = simulatedService()
  await ask(service, long)
  engine.transfer = () => {
    throw new EngineError('engine_closed', 'the engine is closed')
  }
  await clock.advance(60_000)
  t.is((await service.failed).context['engine_code'], 'engine_closed')
})

/** A service whose own errors do not end the test. */
function unwatched() {
  const clock = new VirtualClock()
  const engine = new SimulatedEngine({ clock })
  return { clock, engine, service: createInferenceService(engine, { clock }) }
}

test('a round of the scheduler that breaks off ends the service: its books can no longer be relied on', async t => {
  const { engine, service } = unwatched()
  const handle = engine.onEvents
  // An answer that no engine gives: the rows are missing.
  engine.onEvents = events => handle(events.map(event => (event.kind === 'step' ? { ...event, rows: null as never } : event)))
  t.is(await codeOf(readTurn(await service.start(endless))), 'engine_error')
  t.is((await service.failed).context['engine_code'], 'internal')
  t.true(service.failure?.cause instanceof TypeError)
})

const administration: Record<string, (service: InferenceService) => Promise<unknown>> = {
  'a demotion': service => service.demote('ssd'),
  "a conversation's demotion": service => service.conversations.demote('long', '', 'ssd'),
  'a warming': service => service.conversations.warm('long', ''),
  'an erasure': service => service.conversations.erase('long', ''),
}
for (const [name, work] of Object.entries(administration)) {
  test(`${name} that is under way ends with the engine`, async t => {
    const { engine, service } = simulatedService({ faults: { slowdown: kind => (kind === 'read' || kind === 'erase' ? 1000 : 1) } })
    await ask(service, long)
    if (name !== "a conversation's demotion" && name !== 'a demotion') await service.demote('ssd')
    const ended = codeOf(work(service))
    engine.fail('device_lost', 'the device is gone')
    t.is(await ended, 'engine_error')
  })
}

test('an erasure that waits for its flush ends with the engine', async t => {
  const { engine, service } = simulatedService()
  await ask(service, long)
  await service.demote('ssd')
  const transfer = engine.transfer.bind(engine)
  engine.transfer = transfers => {
    transfer(transfers)
    if (transfers.some(({ kind }) => kind === 'flush')) engine.fail('device_lost', 'the device is gone')
  }
  t.is(await codeOf(service.conversations.erase('long', '')), 'engine_error')
})

test('an engine that fails while the service drains ends the wait, and is known', async t => {
  const { engine, service, turns } = await busy()
  const ended = codeOf(readTurn(turns[0] as Turn))
  const closed = service.close(3_600_000)
  engine.fail('device_lost', 'the device is gone')
  await closed
  t.is(await ended, 'engine_error')
  t.is(service.failure?.context['engine_code'], 'device_lost')
  t.is(service.counters().requestsTotal.failed, 2)
})

test('an engine that fails while saves are flushed at the end, or after, is known', async t => {
  const flushing = simulatedService({ faults: { slowdown: kind => (kind === 'write' ? 1000 : 1) } })
  await ask(flushing.service, long)
  const closed = flushing.service.close(0)
  flushing.engine.fail('device_lost', 'the device is gone')
  await closed
  t.is(flushing.service.failure?.context['engine_code'], 'device_lost')

  const after = simulatedService()
  await after.service.close(0)
  after.engine.fail('device_lost', 'the device is gone')
  t.is(after.service.failure?.context['engine_code'], 'device_lost')
})
