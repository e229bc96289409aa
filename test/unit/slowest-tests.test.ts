import test from 'ava'
import { SlowestTests } from '../../scripts/testing/slowest.js'

test('the longest waits before an end are named, the longest first, with the time of the whole suite', (t) => {
  let now = 0
  const slowest = new SlowestTests(() => now)
  for (const [index, seconds] of [7, 1, 30, 6, 5, 12, 4].entries()) {
    now += seconds * 1000
    slowest.ended(`ok ${index}`)
  }
  t.deepEqual(slowest.lines, ['30 s: ok 2', '12 s: ok 5', '7 s: ok 0', '6 s: ok 3'])
  t.is(slowest.seconds, 65)
})
