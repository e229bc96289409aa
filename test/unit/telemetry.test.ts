import test from 'ava'
import type { ServerInfo } from '../../ts/protocol/index.js'
import { createLogger } from '../../ts/telemetry/logger.js'
import { RecentTimes } from '../../ts/telemetry/recent-times.js'
import { RequestLogFile } from '../../ts/telemetry/request-log.js'
import { Telemetry } from '../../ts/telemetry/telemetry.js'
import { openTestApi } from './support/api.js'
import { done, FakeService, fakeStats, FakeTurn, usage } from './support/fake-service.js'
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
  return new Telemetry(info, { service: new FakeService(), stats: () => fakeStats })
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
    attentionstore_preemptions_total: 15,
    'attentionstore_blocks_dropped_total{cause="evicted"}': 16,
    'attentionstore_blocks_moved_total{move="promoted"}': 20,
    'attentionstore_transfer_bytes_total{kind="read"}': 300,
    'attentionstore_transfer_seconds_total{kind="write"}': 0.008,
    attentionstore_compute_seconds_total: 1.5,
    'attentionstore_schedule_seconds{quantile="0.5"}': 0.00025,
    'attentionstore_tier_capacity_bytes{tier="dram"}': 3000,
    attentionstore_damaged_reads_total: 1,
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
  const record = { t_ms: 1, conversation: 'c', tenant: '', input_tokens: 2, output_tokens: 3, block_hashes: ['aa'], reused: 1 }
  const silent = createLogger('silent')
  for (const tenant of ['first', 'second']) {
    const file = new RequestLogFile(path, silent)
    file.add({ ...record, tenant })
    await file.close()
    await file.close()
  }
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)
  t.deepEqual(lines, [
    { ...record, tenant: 'first' },
    { ...record, tenant: 'second' },
  ])
  t.throws(() => new RequestLogFile(join(folder, 'none/x'), silent), { code: 'invalid_option' })
})
