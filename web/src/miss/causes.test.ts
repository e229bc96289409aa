// Causes and their advice.

import test from 'ava'
import { requestRecord } from '../testing/request.js'
import { emptySample } from '../testing/sample.js'
import { CAUSES, causesIn } from './causes.js'
import { chosenCapacity, tierLink } from './what-if-link.js'
import { MISS_WORDS } from './words.js'

const tier = (name: 'hbm' | 'dram' | 'ssd', capacityBytes: number) => ({
  name,
  medium: '',
  capacityBytes,
  usedBytes: 0,
  capacityBlocks: 0,
  blocks: { total: 0, running: 0, waiting: 0, cached: 0 },
  hitTokens: 0,
})

const TIERS = [tier('hbm', 100), tier('dram', 400), tier('ssd', 1600)]
const sample = emptySample(0, { tiers: TIERS })
const eviction = (cause: 'evicted' | 'write_queue_full' | 'ttl', tokens: number, lastTier: 'hbm' | 'dram' | 'ssd' = 'ssd') => ({ tokens, at_ms: 0, cause, tier: lastTier, policy: null })

test('blocks that made room link to the tier that lost them, with as much again', (t) => {
  const record = requestRecord(1, { miss: { ...requestRecord(1).miss, evicted: 64 }, evictions: [eviction('evicted', 64, 'dram')] })
  const [found] = causesIn({ record, sample })
  t.like(found, { id: 'too-small', reason: 'evicted', amount: '64 tokens', link: { path: '/what-if', query: { tier: 'dram', add: '400' } } })
  t.regex(found?.advice ?? '', /^dram is too small.*--dram-bytes/)
})

test('each end of a block has its own advice', (t) => {
  const record = requestRecord(1, { evictions: [eviction('evicted', 64), eviction('write_queue_full', 128), eviction('ttl', 192)] })
  const found = causesIn({ record, sample })
  t.deepEqual(found.map(({ id, amount }) => [id, amount]), [['too-small', '64 tokens'], ['write-queue-full', '128 tokens'], ['by-hand', '192 tokens']])
  t.is(new Set(found.map(({ advice }) => advice)).size, 3)
})

test('a limit on the disk is named before a faster one is asked for', (t) => {
  const record = requestRecord(1, { evictions: [eviction('write_queue_full', 64)] })
  const limit = { bytesPerS: 1, basis: 'configured' as const }
  const limited = { ...sample, transfers: { ...sample.transfers, write: { ...sample.transfers.write, limit } } }
  t.regex(causesIn({ record, sample })[0]?.advice ?? '', /--ssd-path/)
  t.regex(causesIn({ record, sample: limited })[0]?.advice ?? '', /--ssd-write-limit/)
})

test('a request that waited says for what, and only a long wait is told', (t) => {
  const waited = (ms: number, queued_for: 'turn' | 'room' | 'history' | 'another') =>
    requestRecord(1, { queued_for, ttft_ms: 500, phases: { ...requestRecord(1).phases, queued: [[0, ms]] } })
  const room = causesIn({ record: waited(300, 'room'), sample })[0]
  t.like(room, { id: 'queued', amount: '300 ms', link: { query: { tier: 'hbm' } } })
  t.regex(room?.advice ?? '', /blocks in hbm.*--hbm-bytes/)
  t.like(causesIn({ record: waited(300, 'history'), sample })[0], { link: { query: { tier: 'dram' } } })
  for (const cause of ['turn', 'another'] as const) t.is(causesIn({ record: waited(300, cause), sample })[0]?.link, undefined)
  t.deepEqual(causesIn({ record: waited(10, 'room'), sample }), [])
  t.deepEqual(causesIn({ record: waited(30, 'room'), sample }), [], 'a small part of the time to first token')
})

test('the sums since the start have the causes that no request alone shows', (t) => {
  const busy = emptySample(0, {
    tiers: TIERS,
    preemptions: 2,
    prefetches: { fetched: 10, buffered: 0, used: 7, wasted: 3 },
    history: { load: 5, recompute: 2, split: 1 },
    requests: { ...sample.requests, queued: 4 },
  })
  t.deepEqual(
    causesIn({ record: null, sample: busy }).map(({ id, amount }) => [id, amount]),
    [
      ['disk-slow', '3 of 8 histories on ssd not worth reading whole'],
      ['preempted', '2 times'],
      ['prefetched-in-vain', '3 of 10 blocks'],
      ['queued', '4 now'],
    ],
  )
  t.deepEqual(causesIn({ record: null, sample }), [], 'nothing happened')
  t.deepEqual(causesIn({ record: null, sample: null }), [])
})

test('every reason that something can be done about has a cause, and every advice names what to change or that nothing needs to be', (t) => {
  const explained = new Set(CAUSES.map(({ reason }) => reason))
  t.deepEqual(MISS_WORDS.map(({ reason }) => reason).filter((reason) => !explained.has(reason)), ['never_seen'])
  t.is(new Set(CAUSES.map(({ id }) => id)).size, CAUSES.length)
})

test('an address chooses a tier and a size, or nothing', (t) => {
  t.deepEqual(chosenCapacity(tierLink(sample, 'ssd').query), { tier: 'ssd', add: 1600 })
  t.deepEqual(chosenCapacity(tierLink(null, 'ssd').query), { tier: 'ssd', add: 2 ** 30 })
  for (const query of [{}, { tier: 'tape', add: '1' }, { tier: 'ssd' }, { tier: 'ssd', add: '-1' }, { tier: 'ssd', add: '1e9' }, { tier: ['ssd'], add: '1' }]) {
    t.is(chosenCapacity(query), null, JSON.stringify(query))
  }
})
