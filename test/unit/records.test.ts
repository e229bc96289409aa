// Request records: their phases, their bound, and how they reach those who follow them.

import test from 'ava'
import fc from 'fast-check'
import { cpu2 } from '../../ts/engine/simulated/profiles/cpu-2.js'
import { MAX_REQUEST_RECORDS, MOST_SPANS, RequestRecord as RecordSchema } from '../../ts/protocol/schemas/requests.js'
import type { CacheMap, RequestBatch, RequestRecord, ServerInfo } from '../../ts/protocol/index.js'
import { CELL_STATES, NO_AGE } from '../../ts/protocol/index.js'
import { Spans, type Interval } from '../../ts/scheduler/accounts/spans.js'
import { Telemetry } from '../../ts/telemetry/telemetry.js'
import { ask, chat, readTurn, simulatedService, type SimulatedService } from '../support/simulated-service.js'
import { openTestApi } from './support/api.js'

const user = (content: string) => ({ role: 'user', content })

const info = { models: ['m'] } as unknown as ServerInfo

function telemetryOf(served: SimulatedService): Telemetry {
  const { service, engine, clock } = served
  return new Telemetry(info, { service, stats: () => engine.stats(), disks: () => [] }, { clock })
}

function newest(served: SimulatedService): RequestRecord {
  const [record] = served.service.records.page(undefined, 1).records
  if (!record) throw new Error('no request has ended')
  return record
}

const lengthOf = (spans: readonly (readonly number[])[]): number => spans.reduce((sum, [from = 0, to = 0]) => sum + to - from, 0)

/** Milliseconds during which both ran. */
function overlap(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number {
  let sum = 0
  for (const [from = 0, to = 0] of a) for (const [start = 0, end = 0] of b) sum += Math.max(0, Math.min(to, end) - Math.max(from, start))
  return sum
}

test('spans are ascending, disjoint, bounded, and cover what was added', t => {
  const span = fc.tuple(fc.nat(1000), fc.integer({ min: 1, max: 40 }))
  fc.assert(
    fc.property(fc.array(span, { maxLength: 60 }), spans => {
      const all = new Spans()
      for (const [from, length] of spans) all.add(from, from + length)
      const kept = all.since(0)
      t.true(kept.length <= MOST_SPANS)
      kept.forEach(([from, to], i) => t.true(from < to && (i === 0 || (kept[i - 1] as Interval)[1] < from)))
      for (const [from, length] of spans) t.true(kept.some(([start, end]) => start <= from && from + length <= end))
      if (kept.length < MOST_SPANS) {
        const covered = new Set(spans.flatMap(([from, length]) => Array.from({ length }, (_, i) => from + i)))
        t.is(lengthOf(kept), covered.size)
      }
    }),
  )
})

test('a record tells every phase of a turn that comes back from ssd, and loading overlaps computing', async t => {
  const served = simulatedService()
  const question = user('a long question '.repeat(60))
  const first = await ask(served.service, chat([question], { requestId: 'first', conversation: 'talk', ignoreEos: true }))
  await served.service.demote('ssd')
  const messages = [question, { role: 'assistant', content: first.text }, user('and more '.repeat(40))]
  await ask(served.service, chat(messages, { requestId: 'second', conversation: 'talk', ignoreEos: true }))
  await served.clock.advance(5000)
  const record = newest(served)
  t.notThrows(() => RecordSchema.parse(record))
  t.like(record, { request_id: 'second', conversation: 'talk', tenant: '', status: 'ok', finish_reason: 'length', error: null })
  const { phases } = record
  for (const phase of ['read', 'load', 'prefill', 'decode', 'save', 'write'] as const) t.true(phases[phase].length > 0, phase)
  t.true(overlap(phases.read, phases.load) > 0, 'blocks are loaded while others are read')
  const ttft = record.ttft_ms ?? 0
  t.true(lengthOf(phases.prefill) > 0 && (phases.prefill.at(-1)?.[1] ?? 0) <= ttft + 1e-6)
  t.true((phases.decode.at(-1)?.[1] ?? 0) <= record.duration_ms + 1e-6)
  const reused = Object.values(record.reused_tokens).reduce((sum, tokens) => sum + tokens, 0)
  const missed = Object.values(record.miss).reduce((sum, tokens) => sum + tokens, 0)
  t.is(reused + missed, record.prompt_tokens)
  t.is(record.reused_tokens.ssd, reused)
  await served.close()
})

test('the time without reuse is the time plus what computing the reused tokens takes', async t => {
  const served = simulatedService()
  const cold = await ask(served.service, chat([user('x'.repeat(2000))], { ignoreEos: true }))
  for (let i = 0; i < 3; i++) await ask(served.service, chat([user(`${i}`.repeat(900 + 300 * i))], { ignoreEos: true }))
  const { savedMs } = served.service.counters()
  const warm = await ask(served.service, chat([user('x'.repeat(2000))], { ignoreEos: true }))
  const estimate = warm.usage.ttftWithoutReuseMs ?? 0
  t.true(warm.usage.ttftMs < cold.usage.ttftMs / 3)
  t.true(Math.abs(estimate - cold.usage.ttftMs) < 0.15 * cold.usage.ttftMs, `${estimate} instead of ${cold.usage.ttftMs}`)
  t.true(Math.abs(served.service.counters().savedMs - savedMs - (estimate - warm.usage.ttftMs)) < 1e-6)
  await served.close()
})

test('what was evicted is told with time, tier and the policy that chose it', async t => {
  const served = simulatedService({ slots: { hbm: 20, dram: 0, ssd: 0 } })
  const ids = (salt: number) => Uint32Array.from({ length: 640 }, (_, i) => (i * 31 + salt * 7) % 200)
  const send = (salt: number) => ask(served.service, chat([], { prompt: { kind: 'tokens', tokens: ids(salt) }, ignoreEos: true }))
  for (const salt of [1, 2, 3, 1]) await send(salt)
  const record = newest(served)
  t.true(record.miss.evicted > 500)
  const [eviction] = record.evictions
  t.like(eviction, { cause: 'evicted', tier: 'hbm', policy: served.service.cacheStatus().policy, tokens: record.miss.evicted })
  t.true((eviction?.at_ms ?? 0) > 0 && (eviction?.at_ms ?? 0) <= record.accepted_at_ms + record.duration_ms)
  await served.close()
})

test('cancelled and refused turns are recorded as such, with nothing that they did not do', async t => {
  const served = simulatedService({}, { maxRunning: 1 })
  const running = await served.service.start(chat([user('go on')], { requestId: 'running', ignoreEos: true, maxTokens: 4000 }))
  const waiting = await served.service.start(chat([user('wait')], { requestId: 'waiting', ignoreEos: true }))
  waiting.cancel()
  t.like(newest(served), { request_id: 'waiting', status: 'cancelled', computed_tokens: 0, ttft_ms: null, estimated_ttft_ms: null })
  const read = readTurn(running)
  await served.service.close(0)
  await t.throwsAsync(read, { code: 'draining' })
  t.like(newest(served), { request_id: 'running', status: 'failed', error: 'draining' })
  await served.close()
})

test('three seconds of 500 requests a second stay bounded, in the ring and on the way to a follower', async t => {
  const served = simulatedService({ slots: { hbm: 200, dram: 0, ssd: 0 }, profile: fastProfile }, { maxQueue: 1000 })
  const telemetry = telemetryOf(served)
  const batches: RequestBatch[] = []
  let isReady = true
  const stop = telemetry.records.follow({ isReady: () => isReady, take: batch => batches.push(batch) })
  const turns: Array<Promise<unknown>> = []
  for (let tick = 0; tick < 30; tick++) {
    isReady = tick < 8 || tick > 20
    for (let i = 0; i < 50; i++) {
      const tokens = Uint32Array.from({ length: 70 }, (_, at) => (at + 3 * i + tick) % 200)
      const turn = served.service.start(chat([], { prompt: { kind: 'tokens', tokens }, maxTokens: 2, ignoreEos: true }))
      turns.push(turn.then(started => readTurn(telemetry.observed(started, 0))))
    }
    await served.clock.advance(100)
  }
  await Promise.all(turns)
  await served.clock.advance(2000)
  stop()
  const told = batches.flatMap(({ records }) => records.map(({ seq }) => seq))
  t.is(Math.max(...told), 1499)
  t.true(batches.every(({ records }) => records.length <= 250))
  t.true(batches.some(({ skipped }) => skipped > 0), 'the one that could not read for more than a second missed records, and knows it')
  const page = served.service.records.page(undefined, 5000)
  t.is(page.records.length, MAX_REQUEST_RECORDS)
  t.deepEqual([page.records[0]?.seq, page.records.at(-1)?.seq, page.next], [1499, 500, null])
  t.true(telemetry.snapshot().history.length > 0)
  t.is(telemetry.sample().ttft?.count, 1024)
  telemetry.close()
  await served.close()
})

const fastProfile = { ...cpu2, stepBaseMs: 1, stepPerRowMs: 0.001, stepPerHistoryTokenMs: 0, loadRate: 1e7, saveRate: 1e7 }

test('the map has a cell a slot, and says what each slot is for', async t => {
  const served = simulatedService({ slots: { hbm: 30, dram: 9000, ssd: 40 } })
  await ask(served.service, chat([user('hello '.repeat(60))], { conversation: 'talk' }))
  await served.clock.advance(3000)
  const map = served.service.cacheMap()
  const bytes = (text: string) => [...Buffer.from(text, 'base64')]
  for (const tier of map.tiers) {
    const states = bytes(tier.states)
    t.is(states.length, Math.ceil(tier.slots / tier.slotsPerCell))
    t.is(bytes(tier.owners).length, 2 * states.length)
    const ages = bytes(tier.ages)
    t.true(states.every((state, cell) => state === 0 ? ages[cell] === NO_AGE : ages[cell] !== NO_AGE))
  }
  const [hbm, dram] = map.tiers
  t.is(hbm?.slotsPerCell, 1)
  t.is(dram?.slotsPerCell, 2)
  const cached = bytes(hbm?.states ?? '').filter(state => state === CELL_STATES.indexOf('cached')).length
  t.is(served.service.cacheStatus().tiers[0]?.blocks.resting, cached)
  t.deepEqual(map.owners, [{ conversation: '', tenant: '' }, { conversation: 'talk', tenant: '' }])
  await served.close()
})

test('the queue shows who waits, for which blocks, and how far placement looks', async t => {
  const served = simulatedService({}, { maxRunning: 1 })
  const turns = ['a', 'b', 'c'].map(id => ask(served.service, chat([user(id)], { requestId: id, conversation: id })))
  // All are in the queue once their prompts are tokenised.
  let queue: CacheMap['queue'] = served.service.cacheMap().queue
  while (queue.length < 2) {
    await new Promise(resolve => setImmediate(resolve))
    queue = served.service.cacheMap().queue
  }
  t.deepEqual(queue.front.map(({ requestId }) => requestId), ['b', 'c'])
  t.true(queue.window >= 1)
  t.true(queue.front[0]?.isInWindow)
  await Promise.all(turns)
  await served.close()
})

test('what-if curves rise with capacity, and tell gains between measured figures', async t => {
  const served = simulatedService()
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 5; i++) await ask(served.service, chat([user(`${i} `.repeat(150))], { ignoreEos: true }))
  }
  const report = served.service.whatIf()
  t.is(report.requests, 15)
  for (const { points, gains, current, modelledHitRate } of report.tiers) {
    points.forEach(({ hitRate, bytes }, i) => {
      const before = points[i - 1]
      t.true(!before || (before.bytes < bytes && before.hitRate <= hitRate + 1e-9))
    })
    for (const gain of gains) t.true(gain.to >= gain.from - 1e-9 && gain.addBytes > 0)
    // Everything fits: the model has nothing to leave out.
    t.true(Math.abs(current.hitRate - modelledHitRate) < 0.02, `${current.hitRate}, ${modelledHitRate}`)
    t.is(current.error, 0, 'measured')
  }
  await served.close()
})

test('GET /admin/requests turns pages from the newest record to the oldest', async t => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const served = simulatedService()
  for (let i = 0; i < 5; i++) await ask(served.service, chat([user(`${i}`)], { requestId: `r${i}` }))
  Object.assign(api.service, { records: served.service.records })
  const page = async (query: string) => (await (await fetch(`${api.url}/admin/requests${query}`)).json()) as { requests: RequestRecord[]; next_cursor: number | null }
  const first = await page('?limit=2')
  t.deepEqual(first.requests.map(({ request_id: id }) => id), ['r4', 'r3'])
  const rest = await page(`?limit=10&cursor=${first.next_cursor}`)
  t.deepEqual(rest.requests.map(({ request_id: id }) => id), ['r2', 'r1', 'r0'])
  t.is(rest.next_cursor, null)
  t.is((await fetch(`${api.url}/admin/requests?limit=1001`)).status, 400)
  t.is((await fetch(`${api.url}/admin/requests?cursor=-1`)).status, 400)
  await served.close()
})
