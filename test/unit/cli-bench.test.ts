import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { eventData } from '../../ts/cli/client.js'
import { promptTokens, scaleOf } from '../../ts/cli/bench/prompts.js'
import { percentiles, reportOf } from '../../ts/cli/bench/report.js'
import { ApiError } from '../../ts/protocol/errors.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import { openTestApi } from './support/api.js'
import { delta, done } from './support/fake-service.js'
import { FakeTerminal } from './support/terminal.js'

const MOONCAKE = [
  { timestamp: 1500, input_length: 700, output_length: 4, hash_ids: [1, 3] },
  { timestamp: 1000, input_length: 600, output_length: 2, hash_ids: [1, 2] },
]

function file(t: ExecutionContext, lines: readonly unknown[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-trace-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'trace.jsonl')
  writeFileSync(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'))
  return path
}

test('equal block ids make equal tokens, and only those', async (t) => {
  const trace = await readTrace(file(t, MOONCAKE))
  const [first, second] = trace.requests
  if (!first || !second) return t.fail()
  const scale = scaleOf(trace, null)
  const a = promptTokens(first, 0, scale)
  const b = promptTokens(second, 1, scale)
  t.deepEqual([a.length, b.length], [600, 700])
  t.deepEqual(a.slice(0, 512), b.slice(0, 512))
  t.notDeepEqual(a.slice(512), b.slice(512, 600))
  t.deepEqual(promptTokens(first, 0, scale), a)
  t.true(a.every((token) => Number.isInteger(token) && token >= 1000 && token < 21_000))
  t.true(new Set(a).size > 500)
})

test('a trace can be scaled down with its prefixes kept', async (t) => {
  const trace = await readTrace(file(t, MOONCAKE))
  const scale = scaleOf(trace, 16)
  const [a, b] = trace.requests.map((request, index) => promptTokens(request, index, scale))
  t.deepEqual([a?.length, b?.length], [19, 22])
  t.deepEqual(a?.slice(0, 16), b?.slice(0, 16))
  t.not(a?.[16], b?.[16])
})

test('a block that fills another one on begins with its tokens', async (t) => {
  const line = (input_tokens: number, block_hashes: readonly string[], t_ms: number): object => ({
    t_ms, conversation: 'c', tenant: '', input_tokens, output_tokens: 30, block_hashes, reused: 0,
  })
  const trace = await readTrace(file(t, [line(70, ['a', 'b'], 0), line(150, ['a', 'c', 'd'], 9)]))
  const scale = scaleOf(trace, null)
  const [first, second] = trace.requests.map((request, index) => promptTokens(request, index, scale))
  t.deepEqual(second?.slice(0, 70), first)
  t.is(second?.length, 150)
})

test('what no block id covers is the request\'s own', (t) => {
  const blocks = new Int32Array()
  const request = { atMs: 0, inputTokens: 10, outputTokens: 1, reusableTokens: 0, blocks, promptBlocks: 0, hasPartialTail: false }
  const scale = { blockTokens: 64, factor: 1, beginnings: new Map() }
  t.is(promptTokens(request, 0, scale).length, 10)
  t.notDeepEqual(promptTokens(request, 0, scale), promptTokens(request, 1, scale))
})

test('percentiles are nearest ranks', (t) => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index)
  t.deepEqual(percentiles(values), { mean: 50.5, p50: 50, p90: 90, p99: 99, max: 100 })
  t.deepEqual(percentiles([7]), { mean: 7, p50: 7, p90: 7, p99: 7, max: 7 })
  t.is(percentiles([]), null)
})

test('a report sums what was answered and counts what failed', (t) => {
  const answered = { ok: true, ttftMs: 10, totalMs: 30, gapsMs: [5, 15], inputTokens: 100, outputTokens: 3, cachedTokens: 60 } as const
  const failed = { ok: false, message: '__proto__' } as const
  const report = reportOf([answered, answered, failed, failed], 2)
  t.like(report, { requests: { ok: 2, failed: 2 }, input_tokens: 200, cached_tokens: 120, requests_per_s: 1, output_tokens_per_s: 3 })
  t.deepEqual(Object.entries(report.errors), [['__proto__', 2]])
})

test('a replay sends each request and reports times and cached tokens', async (t) => {
  const api = await openTestApi({ maxBodyBytes: 1024 * 1024 }, { vocabSize: 50_000 })
  t.teardown(() => api.close())
  const trace = file(t, MOONCAKE)
  const json = join(trace, '../report.json')
  const terminal = new FakeTerminal()
  t.is(await terminal.run('bench', '--url', api.url, '--trace', trace, '--speed', '100000', '--json', json), 0)
  // At this speed both are on their way at once: which connection the server reads first is not ours to say.
  const turns = api.service.turns.map(({ request }) => request).toSorted((a, b) => Number(a.maxTokens) - Number(b.maxTokens))
  t.deepEqual(
    turns.map((request) => [request.prompt.kind, request.maxTokens, request.ignoreEos, request.sampling.temperature]),
    [
      ['tokens', 2, true, 0],
      ['tokens', 4, true, 0],
    ],
  )
  t.regex(terminal.stdout, /2 answered, 0 failed/)
  t.regex(terminal.stdout, /200, of them 176 cached \(88\.0 %\)/)
  const report = JSON.parse(readFileSync(json, 'utf8')) as Record<string, unknown>
  t.like(report, { model: 'fake-model', speed: 100_000, requests: { ok: 2, failed: 0 }, cached_tokens: 176, output_tokens: 10 })
})

test('failed requests are counted by message, exit 1', async (t) => {
  const api = await openTestApi({ maxBodyBytes: 1024 * 1024 }, { vocabSize: 50_000 })
  t.teardown(() => api.close())
  let turns = 0
  api.service.answer = () => (turns++ === 0 ? [delta('x'), new ApiError('engine_error', 'it stopped')] : [delta('x'), done()])
  const terminal = new FakeTerminal()
  t.is(await terminal.run('bench', '--url', `${api.url}/v1/`, '--trace', file(t, MOONCAKE), '--speed', '100000'), 1)
  t.regex(terminal.stdout, /failed +1 × it stopped/)
})

test('a server that does not answer exits with 3, wrong values with 2', async (t) => {
  const api = await openTestApi()
  await api.close()
  const run = async (...args: string[]) => new FakeTerminal().run('bench', '--trace', file(t, MOONCAKE), ...args)
  t.is(await run('--url', api.url), 3)
  t.is(await run('--url', 'nowhere'), 2)
  t.is(await run('--url', api.url, '--speed', '0'), 2)
  t.is(await run('--url', api.url, '--limit', 'x'), 2)
  t.is(await run('--url', api.url, '--block-tokens', '0'), 2)
})

test('events are found whatever pieces they arrive in', async (t) => {
  const wire = Buffer.from('data: {"a":"é"}\r\n\r\n: keep-alive\n\nevent: x\ndata: two\n\ndata: [DONE]\n\n')
  for (let size = 1; size <= wire.length; size += 3) {
    const pieces = async function* () {
      for (let at = 0; at < wire.length; at += size) yield wire.subarray(at, at + size)
    }
    const events: string[] = []
    for await (const event of eventData(pieces())) events.push(event)
    t.deepEqual(events, ['{"a":"é"}', 'two', '[DONE]'])
  }
})
