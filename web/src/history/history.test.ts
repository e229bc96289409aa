import test from 'ava'
import type { Sample } from 'attentionstore/protocol'
import { SampleHistory } from './history.js'

function sample(uptimeMs: number, tokens: number, ttftMs: Sample['ttftMs'] = null): Sample {
  return {
    uptimeMs,
    tiers: [],
    requests: { ok: 0, cancelled: 0, failed: 0, rejected: 0, queued: 2, preparing: 1, running: 4 },
    tokens: {
      prompt: tokens,
      completion: tokens / 2,
      computed: tokens / 4,
      recomputed: 0,
      reused: { hbm: tokens, dram: 2 * tokens, ssd: 0 },
    },
    blocks: { saved: 0, loaded: 0, promoted: 0, demoted: 0, dropped: {} },
    prefetches: { fetched: 0, buffered: 0, used: 0, wasted: 0 },
    history: { load: 0, recompute: 0, split: 0 },
    preemptions: 0,
    steps: { count: 0, computeMs: 0, loadStallMs: 0, stalledLayers: 0, scheduleMs: { p50: 0, p99: 0 } },
    ttftMs,
    transfers: {
      load: { bytes: 0, ms: 0, queueDepth: 0 },
      save: { bytes: 0, ms: 0, queueDepth: 0 },
      read: { bytes: 0, ms: 0, queueDepth: 0 },
      write: { bytes: 0, ms: 0, queueDepth: 0 },
    },
    damagedReads: 0,
    eventLoopDelayMs: { p50: 0, p99: 0 },
    residentBytes: 0,
  }
}

test('rates are differences of counters over the time between the samples', (t) => {
  const history = new SampleHistory()
  history.push(sample(1000, 100))
  t.deepEqual(history.read('at'), [])
  history.push(sample(1500, 200, { count: 1, p50: 12, max: 30 }))
  t.deepEqual(history.read('at'), [1.5])
  t.deepEqual(history.read('hbm'), [200])
  t.deepEqual(history.read('dram'), [400])
  t.deepEqual(history.read('generated'), [100])
  t.deepEqual(history.read('queued'), [3])
  history.push(sample(2000, 200))
  t.deepEqual(history.read('ttftP50'), [12, null])
  t.is(history.latest('ttftMax'), 30)
})

test('a restarted server begins a new history, without negative rates', (t) => {
  const history = new SampleHistory()
  history.push(sample(1000, 100))
  history.push(sample(2000, 200))
  history.push(sample(500, 0))
  t.deepEqual(history.read('hbm'), [])
  history.push(sample(1000, 10))
  t.deepEqual(history.read('hbm'), [20])
})
