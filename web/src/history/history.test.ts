import test from 'ava'
import type { Sample } from 'attentionstore/protocol'
import { emptySample } from '../testing/sample.js'
import { SampleHistory } from './history.js'

function sampleAt(seconds: number, prompt: number, given: Partial<Sample> = {}): Sample {
  const { tokens } = emptySample(0)
  return emptySample(seconds * 1000, { tokens: { ...tokens, prompt, computed: prompt / 4, reused: { hbm: prompt / 2, dram: prompt / 4, ssd: 0 } }, ...given })
}

test('a rate is a difference over the window, not over the last step', (t) => {
  const history = new SampleHistory()
  for (const [at, prompt] of [[0, 0], [1, 100], [8, 100], [9, 800]] as const) history.push(sampleAt(at, prompt))
  t.deepEqual(history.times(), [0, 1, 8, 9])
  t.deepEqual(history.rates('prompt'), [null, 100, 12.5, 87.5])
})

test('a share is of what grew, and there is none while nothing does', (t) => {
  const history = new SampleHistory()
  for (const [at, prompt] of [[0, 0], [1, 0], [2, 400]] as const) history.push(sampleAt(at, prompt))
  t.deepEqual(history.shares('hbm', 'prompt'), [null, null, 0.5])
  t.deepEqual(history.shares('dram', 'prompt'), [null, null, 0.25])
})

test('a server that began anew begins the history anew', (t) => {
  const history = new SampleHistory()
  history.push(sampleAt(100, 100))
  history.push(sampleAt(101, 200))
  history.push(sampleAt(2, 10))
  t.deepEqual(history.times(), [2])
})

test('at a connect the page takes what the server remembers, and the sample once', (t) => {
  const history = new SampleHistory()
  history.push(sampleAt(50, 1))
  history.restore([sampleAt(4, 10), sampleAt(8, 20)], sampleAt(9, 30))
  history.push(sampleAt(9, 30))
  t.deepEqual(history.times(), [4, 8, 9])
})

test('times to first token are null where no turn began to answer', (t) => {
  const history = new SampleHistory()
  history.push(sampleAt(1, 0, { ttft: { count: 1, p50: 12, p95: 30, withoutReuse: null } }))
  history.push(sampleAt(2, 0))
  t.deepEqual(history.gauge('ttftP50'), [12, null])
  t.deepEqual(history.gauge('withoutReuseP50'), [null, null])
})

test('ten minutes of samples are kept, no more', (t) => {
  const history = new SampleHistory()
  for (let index = 0; index < 5000; index++) history.push(sampleAt(index / 2, index))
  t.is(history.length, 1200)
  t.is(history.times()[0], 1900)
})
