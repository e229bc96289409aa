import test from 'ava'
import fc from 'fast-check'
import { requestRecord } from '../../testing/request.js'
import { intersect, unite, waterfallOf, type Span } from './waterfall.js'

const phases = { queued: [[0, 10]], read: [[5, 20]], load: [[15, 40]], prefill: [[30, 60]], decode: [[60, 160]], save: [[50, 170]], write: [[170, 256]] } satisfies Record<
  string,
  [number, number][]
>

test('the overlap of loading and computing is where both run', (t) => {
  const waterfall = waterfallOf(requestRecord(1, { phases, ttft_ms: 60, duration_ms: 160 }), 'whole')
  t.is(waterfall.untilMs, 256)
  t.is(waterfall.overlapMs, 10)
  t.deepEqual(waterfall.overlap, [{ from: 30 / 256, width: 10 / 256 }])
  t.is(waterfall.firstToken, 60 / 256)
})

test('the view of the start ends a little after the first token, and shows no bar beyond it', (t) => {
  const { untilMs, lanes } = waterfallOf(requestRecord(1, { phases, ttft_ms: 60, duration_ms: 160 }), 'start')
  t.is(untilMs, 69)
  t.deepEqual(lanes.find(({ phase }) => phase === 'write')?.bars, [])
  t.true(lanes.every(({ bars }) => bars.every(({ from, width }) => from >= 0 && from + width <= 1 + 1e-9)))
})

test('a request that failed at once draws nothing and divides by nothing', (t) => {
  const { untilMs, lanes, firstToken } = waterfallOf(requestRecord(1, { status: 'failed' }), 'start')
  t.true(untilMs > 0)
  t.is(firstToken, null)
  t.true(lanes.every(({ bars }) => bars.length === 0))
})

const spans = fc
  .array(fc.nat(1000), { maxLength: 20 })
  .map((ends) => [...new Set(ends)].toSorted((a, b) => a - b))
  .map((ends) => ends.flatMap((from, index): Span[] => (index % 2 === 0 && ends[index + 1] !== undefined ? [[from, ends[index + 1] ?? from]] : [])))

const covers = (list: readonly Span[], at: number) => list.some(([from, to]) => from <= at && at < to)

test('intersection and union are those of the moments', (t) => {
  const property = fc.property(spans, spans, fc.nat(1000), (a, b, at) => {
    t.is(covers(intersect(a, b), at), covers(a, at) && covers(b, at))
    t.is(covers(unite(a, b), at), covers(a, at) || covers(b, at))
  })
  fc.assert(property, { numRuns: 200 })
})
