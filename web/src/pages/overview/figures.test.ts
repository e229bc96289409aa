// The overview's figures of a sample.

import test from 'ava'
import type { Sample } from 'attentionstore/protocol'
import { fakeLive } from '../../testing/live.js'
import { emptySample } from '../../testing/sample.js'
import { inScope } from '../../testing/scope.js'
import { useDisks } from './use-disks.js'
import { useMisses } from './use-misses.js'
import { useSavings } from './use-savings.js'
import { useTiers } from './use-tiers.js'
import { useTotals } from './use-totals.js'
import { useTransfers } from './use-transfers.js'

const EMPTY = emptySample(0)
const MIB = 2 ** 20

/** The composable's value under a sample. */
function under<T>(t: Parameters<typeof inScope>[0], use: (live: ReturnType<typeof fakeLive>) => T, given: Partial<Sample>): T {
  const live = fakeLive()
  const { result } = inScope(t, () => use(live))
  live.sample.value = emptySample(1000, given)
  return result
}

test('before the first sample there is nothing, and nothing breaks', (t) => {
  const live = fakeLive()
  const { result } = inScope(t, () => [useSavings(live), useTiers(live), useTransfers(live)] as const)
  t.deepEqual(result.map(({ value }) => value.length), [0, 0, 0])
  t.is(inScope(t, () => useTotals(live)).result.value, null)
})

test('savings tell shares of all prompt tokens, and dashes for what was not measured', (t) => {
  const tokens = { ...EMPTY.tokens, prompt: 1000, reused: { hbm: 300, dram: 100, ssd: 50 } }
  const figures = under(t, useSavings, { tokens, saved: { tokens: 450, ms: 150_000 }, requests: { ...EMPTY.requests, running: 2, queued: 3, preparing: 1 } })
  const values = Object.fromEntries(figures.value.map(({ label, value }) => [label, value]))
  t.like(values, {
    'Prompt tokens reused': '45 %',
    'Computation saved (estimated)': '2.5 min',
    'Time to first token, median': '–',
    'Without reuse (estimated)': '–',
    'Requests now': '2 running',
  })
  t.is(figures.value.find(({ label }) => label === 'Requests now')?.hint, '4 waiting')
})

test('times to first token stand beside what they would have been', (t) => {
  const figures = under(t, useSavings, { ttft: { count: 1, p50: 120, p95: 900, withoutReuse: { p50: 2100, p95: 4000 } } })
  t.deepEqual(
    figures.value.slice(2, 4).map(({ value, hint }) => [value, hint]),
    [['120 ms', '95 % within 900 ms; 1 turn in the last minute'], ['2.1 s', '95 % within 4 s']],
  )
})

test('tiers that are off are not shown; the bar’s parts are those of the capacity', (t) => {
  const tier = (name: 'hbm' | 'dram' | 'ssd', capacityBlocks: number) => ({
    name,
    medium: 'arena',
    capacityBytes: capacityBlocks * MIB,
    committedBytes: capacityBlocks * MIB,
    usedBytes: 4 * MIB,
    capacityBlocks,
    blocks: { total: 4, running: 2, waiting: 1, cached: 1 },
    hitTokens: 1234,
  })
  const rows = under(t, useTiers, { tiers: [tier('hbm', 8), tier('dram', 0)] }).value
  t.is(rows.length, 1)
  t.like(rows[0], { name: 'hbm', bytes: '4 MiB of 8 MiB', blocks: '4 of 8 blocks: 2 running, 1 waiting, 1 cached', hits: '1,234' })
  t.deepEqual(rows[0]?.segments.map(({ share }) => share), [0.25, 0.125, 0.125])
})

test('reasons share what was not reused, and sum to it', (t) => {
  const miss = { neverSeen: 40, reasoningDropped: 20, promptScored: 0, evicted: 30, damaged: 0, outsideView: 10, unknown: 0 }
  const { rows, segments } = under(t, useMisses, { tokens: { ...EMPTY.tokens, miss } })
  t.deepEqual(rows.value.slice(0, 3).map(({ name, tokens, share }) => [name, tokens, share]), [
    ['never seen', '40', '40 %'],
    ['reasoning left out', '20', '20 %'],
    ['evicted', '30', '30 %'],
  ])
  t.deepEqual(rows.value.map(({ reason }) => reason).includes('damaged'), false, 'a reason that explains nothing takes no room')
  t.true(Math.abs(segments.value.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9)
})

test('a reason comes with its causes and advice, and time lost stands apart', (t) => {
  const miss = { ...EMPTY.tokens.miss, evicted: 30 }
  const blocks = { ...EMPTY.blocks, dropped: { evicted: 2 } }
  const { rows, waits } = under(t, useMisses, { tokens: { ...EMPTY.tokens, miss }, blocks, preemptions: 1 })
  t.deepEqual(rows.value.find(({ reason }) => reason === 'evicted')?.causes.map(({ id }) => id), ['too-small'])
  t.deepEqual(waits.value.map(({ id }) => id), ['preempted'])
})

test('no label needs to be explained: none is short of what it counts', (t) => {
  const totals = under(t, useTotals, {}).value
  const labels = [...(totals?.work ?? []), ...(totals?.trouble ?? [])].map(({ label }) => label)
  for (const cryptic of ['Histories half and half', 'Blocks of another model', 'Fetched ahead in vain', 'Damaged reads']) t.false(labels.includes(cryptic), cryptic)
  t.is(new Set(labels).size, labels.length)
})

test('transfers stand against their limit, never beyond it, and say when there were none', (t) => {
  const limit = { bytesPerS: 100e6, basis: 'configured' as const }
  const transfers = { ...EMPTY.transfers, read: { bytes: 50e6, ms: 1000, queueDepth: 2, limit }, load: { bytes: 9e9, ms: 1, queueDepth: 0, limit } }
  const rows = under(t, useTransfers, { transfers }).value
  const read = rows.find(({ kind }) => kind === 'read')
  t.like(read, { speed: '50 MB/s', limit: 'of 100 MB/s configured', moved: '48 MiB moved; 2 under way or waiting' })
  t.is(read?.segments[0]?.share, 0.5)
  t.is(rows.find(({ kind }) => kind === 'load')?.segments[0]?.share, 1)
  t.is(rows.find(({ kind }) => kind === 'save')?.speed, 'not yet')
})

test('every cause for which blocks were lost is told once, as wished for or as trouble', (t) => {
  const dropped = { evicted: 1, write_queue_full: 2, damaged: 3, reset: 4, ttl: 5, foreign: 6, erased: 7 }
  const totals = under(t, useTotals, { blocks: { ...EMPTY.blocks, dropped } }).value
  const told = [...(totals?.work ?? []), ...(totals?.trouble ?? [])].filter(({ label }) => label.startsWith('Blocks') && !label.includes('ahead'))
  t.deepEqual(told.map(({ value }) => Number(value)).toSorted(), [1, 2, 3, 4, 5, 6, 7])
})

test('a disk that does not work as it should has a line with its reason, and dropped lines are counted', (t) => {
  const disks = [
    { place: 'ssd', state: 'full', reason: '/data/ssd: no space left', since: 1 },
    { place: 'store', state: 'ok', reason: null, since: 1 },
    { place: 'log', state: 'slow', reason: null, since: 1, lostLines: 3 },
    { place: 'request_log', state: 'ok', reason: null, since: 1, lostLines: 4 },
  ] as const
  t.deepEqual(under(t, useDisks, { disks }).value.map(({ text }) => text), ['The disk of the ssd tier has no room: /data/ssd: no space left.', 'The log is slow.'])
  const { trouble = [] } = under(t, useTotals, { disks }).value ?? {}
  t.is(trouble.find(({ label }) => label === 'Lines of logs dropped')?.value, '7')
})
