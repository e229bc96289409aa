import test from 'ava'
import type { TierCurve } from 'attentionstore/protocol'
import { estimateAt, gainOf, mostToAdd } from './curve.js'

const curve: TierCurve = {
  name: 'dram',
  capacityBytes: 100,
  current: { bytes: 100, hitRate: 0.5, error: 0.02 },
  modelledHitRate: 0.48,
  points: [
    { bytes: 0, hitRate: 0, error: 0 },
    { bytes: 50, hitRate: 0.4, error: 0.01 },
    { bytes: 200, hitRate: 0.7, error: 0.04 },
    { bytes: 400, hitRate: 0.8, error: 0.04 },
  ],
  gains: [
    { addBytes: 100, from: 0.5, to: 0.7, error: 0.01 },
    { addBytes: 300, from: 0.5, to: 0.8, error: 0.03 },
  ],
}

const near = (value: number) => Math.round(value * 1e9) / 1e9

test('between its points a curve is straight, beyond its last it is flat', (t) => {
  t.deepEqual([0, 25, 50, 75, 150, 400, 9000].map((bytes) => near(estimateAt(curve, bytes).hitRate)), [0, 0.2, 0.4, 0.45, 0.6, 0.8, 0.8])
  t.is(near(estimateAt(curve, 150).error), 0.03)
})

test('a gain begins at nothing and carries the error of the difference', (t) => {
  t.deepEqual(gainOf(curve, 0), { from: 0.5, to: 0.5, error: 0 })
  t.deepEqual(gainOf(curve, 100), { from: 0.5, to: 0.7, error: 0.01 })
  t.is(near(gainOf(curve, 200).error), 0.02)
})

test('a curve without points promises nothing', (t) => {
  const none = { ...curve, points: [], gains: [], current: { bytes: 100, hitRate: 0, error: 0 } }
  t.deepEqual(gainOf(none, 50), { from: 0, to: 0, error: 0 })
  t.is(mostToAdd(none), 100)
  t.is(mostToAdd(curve), 300)
})
