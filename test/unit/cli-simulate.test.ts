import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { CapacityResult } from '../../ts/simulator/capacity/result.js'
import { cpu2 } from '../../ts/engine/simulated/profiles/cpu-2.js'
import { timeAlone } from '../../ts/simulator/capacity/ttft.js'
import { quantiles } from '../../ts/simulator/quantiles.js'
import { capacityPage } from '../../ts/simulator/report/capacity-page.js'
import { FakeTerminal } from './support/terminal.js'

const folder = mkdtempSync(join(tmpdir(), 'attentionstore-simulate-'))
test.after.always(() => rmSync(folder, { recursive: true, force: true }))

const line = (timestamp: number, hash_ids: readonly number[]) =>
  JSON.stringify({ timestamp, input_length: hash_ids.length * 512, output_length: 1, hash_ids })

// Two conversations in turn, of two blocks each.
const trace = join(folder, 'trace.jsonl')
writeFileSync(trace, [line(0, [1, 2]), line(1000, [3, 4]), line(2000, [1, 2]), line(3000, [3, 4])].join('\n'))

async function simulate(...args: readonly string[]): Promise<{ code: number; terminal: FakeTerminal }> {
  const terminal = new FakeTerminal()
  return { code: await terminal.run('simulate', '--trace', trace, ...args), terminal }
}

test('one object a policy and capacity is written, with rates as fractions', async (t) => {
  const json = join(folder, 'out.json')
  const { code, terminal } = await simulate('--policy', 'lru,belady', '--capacity', '50%,100%', '--json', json)
  t.is(code, 0)
  const results = JSON.parse(readFileSync(json, 'utf8')) as CapacityResult[]
  t.deepEqual(
    results.map(({ policy, capacity, capacity_unit, capacity_blocks, block_hit_rate }) => [policy, capacity, capacity_unit, capacity_blocks, block_hit_rate]),
    [
      ['lru', 50, '%', 2, 0],
      ['lru', 100, '%', 4, 0.5],
      ['belady', 50, '%', 2, 0.25],
      ['belady', 100, '%', 4, 0.5],
    ],
  )
  t.like(results[3], { any_block_hit_rate: 0.5, token_hit_rate: 0.5, requests: 4, unique_blocks: 4, look_ahead: 0, profile: 'cpu-2' })
  t.regex(terminal.stdout, /belady\s+100 %\s+50\.0 %/)
  t.regex(terminal.stderr, /simulating: 100 %/)
})

test('a capacity in bytes holds whole blocks of the profile, and the look-ahead is shown to the policy', async (t) => {
  const json = join(folder, 'bytes.json')
  const capacity = String(2.5 * 512 * cpu2.kvBytesPerToken)
  await simulate('--policy', 'scheduler-aware', '--capacity', capacity, '--look-ahead', '2', '--json', json)
  const [result] = JSON.parse(readFileSync(json, 'utf8')) as CapacityResult[]
  t.like(result, { capacity: Number(capacity), capacity_unit: 'bytes', capacity_blocks: 2, look_ahead: 2, block_hit_rate: 0.25 })
})

test('the report is one page with a line a policy and nothing from elsewhere', async (t) => {
  const report = join(folder, 'report.html')
  t.is((await simulate('--policy', 'lru,belady', '--capacity', '0,50%,100%', '--report', report)).code, 0)
  const page = readFileSync(report, 'utf8')
  t.is(page.match(/<polyline /g)?.length, 2)
  t.is(page.match(/<circle /g)?.length, 4, 'a tier without room is in the table only')
  t.is(page.match(/<tr>/g)?.length, 7)
  t.notRegex(page, /<script|<link|<img|https?:|url\(/)
})

test('the report shows no markup that comes from a name, and no curve without capacities', (t) => {
  const page = capacityPage('<b>"&', { format: 'x', blockTokens: 1, uniqueBlocks: 0, beginnings: new Map(), machine: null, requests: [] }, [])
  t.true(page.includes('<h1>&lt;b&gt;&quot;&amp;</h1>'))
  t.notRegex(page, /<svg|NaN|Infinity/)
})

test('reused tokens are not computed, all but the last', (t) => {
  const { stepBaseMs, stepPerRowMs, stepPerHistoryTokenMs } = cpu2
  const step = (rows: number, from: number) => stepBaseMs + rows * stepPerRowMs + from * stepPerHistoryTokenMs
  t.is(timeAlone(cpu2, 300, 0), step(256, 0) + step(44, 256))
  t.is(timeAlone(cpu2, 300, 200), step(100, 200))
  t.is(timeAlone(cpu2, 300, 300), step(1, 299))
})

test('quantiles are values that occurred', (t) => {
  const hundred = Float64Array.from({ length: 100 }, (_, i) => 100 - i)
  t.deepEqual(quantiles(hundred), { p50: 50, p95: 95, p99: 99 })
  t.deepEqual(quantiles(new Float64Array(0)), { p50: 0, p95: 0, p99: 0 })
})

test('a trace that is missing exits with 3, one that is damaged and a file that cannot be written with 2', async (t) => {
  const run = (...args: readonly string[]) => new FakeTerminal().run('simulate', '--capacity', '5%', ...args)
  t.is(await run('--trace', join(folder, 'nowhere')), 3)
  const damaged = join(folder, 'damaged')
  writeFileSync(damaged, 'nothing\n')
  t.is(await run('--trace', damaged), 2)
  t.is(await run('--trace', trace, '--json', join(folder, 'no', 'folder')), 2)
})
