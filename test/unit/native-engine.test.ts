// The native engine over a binding that a test plays: what becomes of events and of errors on the way.

import test from 'ava'
import { readDescription } from '../../scripts/wire/description.js'
import { pack } from '../../scripts/wire/values.js'
import type { BindingEngine, BindingStats } from '../../ts/engine/native/addon.generated.js'
import { NativeEngine } from '../../ts/engine/native/index.js'
import type { EngineEvent, EngineStats } from '../../ts/engine/types.js'
import type { EngineError } from '../../ts/protocol/errors.js'

/** A packed `failed` event. */
function failedEvent(code: string, message: string): Uint8Array {
  const words = pack(readDescription(), { kind: 'named', name: 'EngineEvent' }, { kind: 'failed', code, message })
  return new Uint8Array(Uint32Array.from(words).buffer)
}

function binding(takeEvents: BindingEngine['takeEvents']): BindingEngine {
  return { info: () => ({}), takeEvents } as unknown as BindingEngine
}

/** Holds one event, which leaves it once. */
function outbox(event: Uint8Array): BindingEngine['takeEvents'] {
  let isTaken = false
  return into => {
    if (isTaken) return 0
    isTaken = true
    into.set(event)
    return event.length
  }
}

test('an event of before anybody listened waits for the listener', async t => {
  const engine = new NativeEngine(binding(outbox(failedEvent('cuda', 'the device is gone'))))
  engine.takeEvents()
  const events = await new Promise<readonly EngineEvent[]>(resolve => (engine.onEvents = resolve))
  t.deepEqual(events, [{ kind: 'failed', code: 'cuda', message: 'the device is gone' }])
})

test('events that cannot be taken, or read, are the end of the engine', t => {
  const panics = () => {
    throw new Error(JSON.stringify({ code: 'protocol', message: 'the outbox broke', context: {} }))
  }
  const torn = outbox(failedEvent('cuda', 'the device is gone').subarray(0, 12))
  for (const [takeEvents, code] of [[panics, 'protocol'], [torn, 'native']] as const) {
    const engine = new NativeEngine(binding(takeEvents))
    const events: EngineEvent[] = []
    engine.onEvents = batch => void events.push(...batch)
    engine.takeEvents()
    t.deepEqual(events.map(event => event.kind === 'failed' && event.code), [code])
  }
})

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never
/** The addon's figures are passed on as they are: one that only one side has does not compile. */
const figures: Same<EngineStats, BindingStats> = true

test('figures pass through the engine as the addon gives them', t => {
  t.true(figures)
  const stats = { steps: 3 } as BindingStats
  const engine = new NativeEngine({ ...binding(() => 0), stats: () => stats } as BindingEngine)
  t.is(engine.stats(), stats)
})

test('figures of a closed engine are refused with its code', t => {
  const closed = () => {
    throw new Error(JSON.stringify({ code: 'engine_closed', message: 'the engine is closed', context: {} }))
  }
  const engine = new NativeEngine({ ...binding(() => 0), stats: closed } as BindingEngine)
  t.is((t.throws(() => engine.stats()) as EngineError).code, 'engine_closed')
})
