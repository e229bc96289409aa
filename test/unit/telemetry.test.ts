import test from 'ava'
import type { ServerInfo } from '../../ts/protocol/index.js'
import { systemClock } from '../../ts/engine/clock.js'
import { createLogger } from '../../ts/telemetry/logger.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { PrefillModel } from '../../ts/scheduler/costs/prefill-model.js'
import { FaultLog } from '../../ts/telemetry/fault-log.js'
import { Feed } from '../../ts/telemetry/feed.js'
import { BandwidthLimits } from '../../ts/telemetry/limits.js'
import { RecentTimes } from '../../ts/telemetry/recent-times.js'
import { RequestLogFile } from '../../ts/telemetry/request-log.js'
import { Telemetry } from '../../ts/telemetry/telemetry.js'
import { TtftWindow } from '../../ts/telemetry/ttft-window.js'
import { openTestApi } from './support/api.js'
import { promtoolProblems } from './support/promtool.js'
import { done, FakeService, fakeDisks, fakeStats, FakeTurn, usage } from './support/fake-service.js'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const info: ServerInfo = {
  version: '1.2.3',
  models: ['m'],
  engine: 'simulated',
  device: 'd',
  maxModelLen: 1,
  modelContext: 1,
  layers: 1,
  blockTokens: 64,
  blockBytes: 1,
  maxBatchTokens: 1,
  policy: 'lru',
  ioEngine: 'none',
  reuse: true,
  startedAtMs: 0,
  ttftEstimate: 'guessed',
}

function telemetry(): Telemetry {
  return new Telemetry(info, { service: new FakeService(), stats: () => fakeStats, disks: () => fakeDisks })
}

/** Metric lines by name with labels. */
function parse(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]))
}

test('counters and gauges are scraped with their units', async (t) => {
  const own = telemetry()
  t.teardown(() => own.close())
  const metrics = parse((await own.prometheus()).text)
  const expected: Record<string, number> = {
    'attentionstore_requests_total{outcome="rejected"}': 4,
    'attentionstore_requests{state="running"}': 7,
    'attentionstore_reused_tokens_total{tier="ssd"}': 14,
    'attentionstore_disk_state{place="ssd",state="full"}': 1,
    'attentionstore_disk_state{place="ssd",state="ok"}': 0,
    'attentionstore_disk_state{place="log",state="ok"}': 1,
    'attentionstore_log_lines_dropped_total{log="log"}': 7,
    'attentionstore_missed_tokens_total{reason="never_seen"}': 5,
    'attentionstore_missed_tokens_total{reason="evicted"}': 3,
    'attentionstore_missed_tokens_total{reason="damaged"}': 1,
    'attentionstore_missed_tokens_total{reason="outside_view"}': 22,
    'attentionstore_missed_tokens_total{reason="unknown"}': 1,
    attentionstore_saved_compute_seconds_total: 2.5,
    attentionstore_prefill_tokens_per_second: 1234,
    'attentionstore_tier_waiting_blocks{tier="hbm"}': 0,
    attentionstore_preemptions_total: 15,
    attentionstore_shared_key_requests_total: 31,
    'attentionstore_blocks_dropped_total{cause="evicted"}': 16,
    'attentionstore_blocks_moved_total{move="promoted"}': 20,
    'attentionstore_transfer_bytes_total{kind="read"}': 300,
    'attentionstore_transfer_seconds_total{kind="write"}': 0.008,
    attentionstore_compute_seconds_total: 1.5,
    'attentionstore_constraint_sources_total{outcome="compiled"}': 4,
    'attentionstore_constraint_sources_total{outcome="cached"}': 5,
    'attentionstore_constraint_sources_total{outcome="refused"}': 6,
    attentionstore_masks_total: 12,
    attentionstore_mask_seconds_total: 0.003,
    attentionstore_late_rows_total: 1,
    'attentionstore_schedule_seconds{percentile="50"}': 0.00025,
    'attentionstore_tier_capacity_bytes{tier="dram"}': 3000,
    'attentionstore_abandoned_blocks_total{kind="save"}': 29,
    'attentionstore_abandoned_blocks_total{kind="write"}': 30,
    attentionstore_damaged_reads_total: 1,
    'attentionstore_failed_transfers_total{kind="load",code="kv_io"}': 29,
    'attentionstore_info{version="1.2.3",model="m",device="d",io_engine="none",policy="lru"}': 1,
  }
  for (const [name, value] of Object.entries(expected)) t.is(metrics.get(name), value, name)
  t.true((metrics.get('attentionstore_resident_memory_bytes') ?? 0) > 0)
})

test('a second scrape does not count twice', async (t) => {
  const own = telemetry()
  t.teardown(() => own.close())
  await own.prometheus()
  t.is(parse((await own.prometheus()).text).get('attentionstore_preemptions_total'), 15)
})

test('the metrics tell whether the server takes requests', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const ready = async () => parse(await (await fetch(`${api.url}/metrics`)).text()).get('attentionstore_ready')
  t.is(await ready(), 1)
  api.service.ready = false
  t.is(await ready(), 0)
})

test('every metric is ours, has help, and a unit or a plain count', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const text = await (await fetch(`${api.url}/metrics`)).text()
  const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => ({ name, type }))
  t.true(names.length > 25)
  for (const { name, type } of names) {
    t.regex(name, /^attentionstore_[a-z_]+$/)
    if (type === 'counter') t.regex(name, /_total$/)
    t.true(text.includes(`# HELP ${name} `))
    t.notRegex(name, /_(ms|milliseconds|kb|mb)(_|$)/)
  }
})

test('the metrics pass the rules of promtool', async (t) => {
  const own = telemetry()
  t.teardown(() => own.close())
  for await (const event of own.observed(new FakeTurn({} as ConstructorParameters<typeof FakeTurn>[0], [done()]), 0)) t.is(event.type, 'done')
  own.streamCutOff()
  const { text, contentType } = await own.prometheus()
  t.regex(contentType, /^text\/plain; version=0\.0\.4/)
  t.deepEqual(promtoolProblems(text), [])
})

test('the rules of promtool find what they are for', (t) => {
  const wrong: ReadonlyArray<readonly [text: string, problem: RegExp]> = [
    ['# TYPE a gauge\na 1', /no help/],
    ['# HELP a x\n# TYPE a gauge\na{quantile="0.5"} 1', /label quantile/],
    ['# HELP a x\n# TYPE a gauge\na{le="1"} 1', /label le/],
    ['# HELP a x\n# TYPE a counter\na 1', /_total/],
    ['# HELP a_total x\n# TYPE a_total gauge\na_total 1', /_total/],
    ['# HELP a_count x\n# TYPE a_count gauge\na_count 1', /_count/],
    ['# HELP a_gauge x\n# TYPE a_gauge gauge\na_gauge 1', /type/],
    ['# HELP a_milliseconds x\n# TYPE a_milliseconds gauge\na_milliseconds 1', /unit/],
    ['# HELP a_hours x\n# TYPE a_hours gauge\na_hours 1', /unit/],
    ['# HELP a_ms x\n# TYPE a_ms gauge\na_ms 1', /abbreviat/],
    ['# HELP a:b x\n# TYPE a:b gauge\na:b 1', /colon/],
    ['# HELP aB x\n# TYPE aB gauge\naB 1', /snake_case/],
    ['# HELP a x\n# TYPE a gauge\na{oneTwo="1"} 1', /snake_case/],
    ['# HELP a x\n# TYPE a gauge\na{b="1"} 1\na{b="1"} 2', /twice/],
    ['# HELP a x\n# TYPE a gauge\nb 1', /no type/],
    ['# HELP a x\n# TYPE a gauge\na one', /not a sample/],
  ]
  for (const [text, problem] of wrong) t.regex(promtoolProblems(`${text}\n`).join('; '), problem, text)
})

test('a turn is observed once it is done, from its usage', async (t) => {
  const own = telemetry()
  t.teardown(() => own.close())
  const request = {} as ConstructorParameters<typeof FakeTurn>[0]
  const turn = own.observed(new FakeTurn({ ...request, conversation: 'c' }, [done({ usage: usage({ queueMs: 30, ttftMs: 300 }) })]), 0)
  t.is(turn.conversation, 'c')
  for await (const event of turn) t.is(event.type, 'done')
  const metrics = parse((await own.prometheus()).text)
  t.is(metrics.get('attentionstore_queue_seconds_sum'), 0.03)
  t.is(metrics.get('attentionstore_time_to_first_token_seconds_sum'), 0.3)
  t.is(metrics.get('attentionstore_time_per_output_token_seconds_count'), 1)
  t.is(own.sample().ttftMs?.count, 1)
})

test('recent times are summed up until they are cleared', (t) => {
  const times = new RecentTimes()
  t.is(times.summary(), null)
  for (const ms of [5, 1, 3]) times.add(ms)
  t.deepEqual(times.summary(), { count: 3, p50: 3, max: 5 })
  times.clear()
  t.is(times.summary(), null)
  for (let ms = 0; ms < 5000; ms++) times.add(ms)
  t.is(times.summary()?.count, 5000)
})

test('the last minute of times has percentiles, beside what they would have been without reuse', (t) => {
  const window = new TtftWindow()
  t.is(window.summary(0), null)
  for (let i = 1; i <= 100; i++) window.add(i, i, i <= 50 ? null : 10 * i)
  t.deepEqual(window.summary(100), { count: 100, p50: 50, p95: 95, withoutReuse: { p50: 750, p95: 980 } })
  t.is(window.summary(60_050)?.count, 51)
  t.is(window.summary(70_000), null)
  window.add(70_000, 1, null)
  t.deepEqual(window.summary(70_000), { count: 1, p50: 1, p95: 1, withoutReuse: null })
  for (let i = 0; i < 3000; i++) window.add(70_001, i, null)
  t.is(window.summary(70_002)?.count, 1024)
})

test('the limit of a stream is the fastest that was seen over enough time, unless an operator set one', (t) => {
  const limits = new BandwidthLimits({ read: null, write: 5e6 })
  const observe = (readBytes: number, readMs: number) => limits.observe({ ...fakeStats, readBytes, readMs, writeBytes: 0, writeMs: 0 })
  t.is(limits.of('read'), null)
  observe(4000, 4)
  t.is(limits.of('read'), null)
  observe(9000, 6)
  t.deepEqual(limits.of('read'), { bytesPerS: 1_500_000, basis: 'measured' })
  observe(9000 + 100_000, 26)
  observe(9000 + 101_000, 126)
  t.deepEqual(limits.of('read'), { bytesPerS: 5_000_000, basis: 'measured' })
  t.deepEqual(limits.of('write'), { bytesPerS: 5e6, basis: 'configured' })
})

test('a feed computes for its listeners, at its interval, and nothing without any', async (t) => {
  const clock = new VirtualClock()
  let computed = 0
  const feed = new Feed(clock, 100, () => ++computed)
  await clock.advance(1000)
  t.is(computed, 0)
  const seen: number[] = []
  const stops = [feed.listen((value) => seen.push(value)), feed.listenFromNow((value) => seen.push(-value))]
  await clock.advance(200)
  t.deepEqual(seen, [-1, 2, -2, 3, -3])
  for (const stop of stops) stop()
  await clock.advance(1000)
  t.is(computed, 3)
  feed.listen((value) => seen.push(value))
  feed.close()
  await clock.advance(1000)
  t.is(computed, 3)
})

test('a page that is opened gets ten minutes of history, thinned out and bounded', async (t) => {
  const clock = new VirtualClock()
  const own = new Telemetry(info, { service: new FakeService(), stats: () => fakeStats, disks: () => fakeDisks }, { clock })
  t.teardown(() => own.close())
  await clock.advance(700_000)
  const { history, sample } = own.snapshot()
  t.is(history.length, 150)
  t.is((history.at(-1)?.uptimeMs ?? 0) - (history[0]?.uptimeMs ?? 0), 149 * 4000)
  t.true((history.at(-1)?.uptimeMs ?? 0) <= sample.uptimeMs)
  t.is(history[0]?.tokens.miss.outsideView, 22)
})

test('how long a prompt takes is learnt from steps: once a step, a row, and a row and token of history', (t) => {
  const model = new PrefillModel()
  const truth = (rows: number, history: number) => 6 + 0.5 * rows + 0.002 * rows * history
  t.is(model.promptMs(1000, 256), null)
  for (const [rows, from] of [[256, 0], [256, 256], [100, 512], [64, 1000], [256, 2000], [30, 0]] as const) {
    model.stepTook(rows, from + rows / 2, truth(rows, from + rows / 2))
  }
  for (const tokens of [256, 1024, 4096]) {
    let ms = 0
    for (let from = 0; from < tokens; from += 256) ms += truth(256, from + 128)
    t.true(Math.abs((model.promptMs(tokens, 256) ?? 0) - ms) < 0.01 * ms)
  }
  t.is(model.promptMs(0, 256), 0)
})

test('a model of steps that were all alike is the mean, never negative', (t) => {
  const model = new PrefillModel()
  for (let i = 0; i < 5; i++) model.stepTook(100, 50, 50)
  model.stepTook(4, 0, 1e6)
  t.true(Math.abs((model.promptMs(100, 256) ?? 0) - 50) < 1)
  t.true((model.promptMs(10_000, 256) ?? 0) >= 5000 - 1)
})

test('the log is JSON lines at and above its level', (t) => {
  const lines: string[] = []
  const log = createLogger('warn', (line) => lines.push(line))
  log.info('not this')
  log.warn({ a: 1 }, 'this')
  t.is(lines.length, 1)
  t.like(JSON.parse(lines[0] ?? ''), { a: 1, msg: 'this' })
})

test('the request log appends a line a request and is whole when closed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-log-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'requests.jsonl')
  const record = { t_ms: 1, conversation: 'c', tenant: '', input_tokens: 2, system_tokens: 0, output_tokens: 3, block_hashes: ['aa'], reused: 1, outside_view: 0 }
  for (const tenant of ['first', 'second']) {
    const file = new RequestLogFile(path, systemClock, () => {})
    file.add({ ...record, tenant })
    await file.close()
    await file.close()
  }
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)
  t.deepEqual(lines, [
    { ...record, tenant: 'first' },
    { ...record, tenant: 'second' },
  ])
  t.throws(() => new RequestLogFile(join(folder, 'none/x'), systemClock, () => {}), { code: 'invalid_option' })
})

test('a fault that repeats has a line every ten seconds, which says how many were left out', async (t) => {
  const clock = new VirtualClock()
  const lines: Record<string, unknown>[] = []
  const faults = new FaultLog(createLogger('warn', (line) => lines.push(JSON.parse(line) as Record<string, unknown>)), clock)
  const fault = { message: 'a save failed', code: 'cuda', context: { slot: 3 } }
  for (let i = 0; i < 5; i++) faults.add(fault)
  faults.add({ ...fault, code: 'kv_io' })
  t.deepEqual(lines.map(({ msg, code, slot, left_out: leftOut }) => [msg, code, slot, leftOut]), [
    ['a save failed', 'cuda', 3, undefined],
    ['a save failed', 'kv_io', 3, undefined],
  ])
  await new Promise<void>((resolve) => clock.after(10_000, resolve))
  faults.add(fault)
  faults.add({ ...fault, code: 'kv_io' })
  t.deepEqual(lines.slice(2).map(({ code, left_out: leftOut }) => [code, leftOut]), [['cuda', 4], ['kv_io', undefined]])
})
