import test from 'ava'
import { formatAgo, formatBytes, formatClock, formatCount, formatDuration, formatMs, formatRate, formatShare } from './format.js'

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

test('durations, rates, ages and counts change their words where the number would get long', (t) => {
  t.deepEqual([900, 59_000, 90_000, 5_400_000].map(formatDuration), ['900 ms', '59 s', '1.5 min', '1.5 h'])
  t.deepEqual([0, 999, 1500, 2.5e9].map(formatRate), ['0 B/s', '999 B/s', '1.5 kB/s', '2.5 GB/s'])
  t.deepEqual([0, 5000, 61_000, 7_200_000, 90_000_000].map(formatAgo), ['just now', '5 s ago', '1 min ago', '2 h ago', '1 day ago'])
  t.deepEqual([formatCount(1, 'turn'), formatCount(1200, 'turn')], ['1 turn', '1,200 turns'])
})
