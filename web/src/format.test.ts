import test from 'ava'
import { formatBytes, formatClock, formatMs, formatShare } from './format.js'

test('bytes take the largest unit that keeps a digit before the point', (t) => {
  t.deepEqual([0, 1, 1023, 1024, 1.5 * 1024 ** 3, 96 * 1024 ** 2].map(formatBytes), [
    '0 B',
    '1 B',
    '1,023 B',
    '1 KiB',
    '1.5 GiB',
    '96 MiB',
  ])
})

test('a share of nothing is a dash, not zero', (t) => {
  t.is(formatShare(0, 0), '–')
  t.is(formatShare(1, 3), '33.3 %')
})

test('times change their unit at a second, and none is a dash', (t) => {
  t.deepEqual([null, 1.25, 850, 2100].map(formatMs), ['–', '1.3 ms', '850 ms', '2.1 s'])
  t.is(formatMs(-1e-9), '0 ms')
  t.is(formatClock(3723.9), '1:02:03')
})
