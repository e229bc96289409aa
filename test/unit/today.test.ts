// The day's savings: since midnight, or since the start.

import test from 'ava'
import { midnightBefore, Today } from '../../ts/telemetry/today.js'

const at = (day: number, hour: number): number => new Date(2026, 6, day, hour).getTime()

function counted(prompt: number, tokens: number, ms: number): Parameters<Today['of']>[1] {
  const reused = { hbm: tokens, dram: 0, ssd: 0 }
  const miss = { neverSeen: 0, reasoningDropped: 0, promptScored: 0, evicted: 0, damaged: 0, outsideView: 0, unknown: 0 }
  return { tokens: { prompt, completion: 0, computed: 0, recomputed: 0, reused, miss }, saved: { tokens, ms } }
}

test('a server that started today counts from its start', t => {
  const today = new Today(at(3, 9))
  t.deepEqual(today.of(at(3, 17), counted(100, 60, 5)), { sinceMs: at(3, 9), promptTokens: 100, reusedTokens: 60, savedMs: 5 })
})

test('at midnight the day begins anew, at the counters of the last look before it', t => {
  const today = new Today(at(3, 9))
  today.of(at(3, 23), counted(100, 60, 5))
  t.deepEqual(today.of(at(4, 0), counted(130, 80, 9)), { sinceMs: at(4, 0), promptTokens: 30, reusedTokens: 20, savedMs: 4 })
  t.deepEqual(today.of(at(4, 12), counted(230, 160, 19)), { sinceMs: at(4, 0), promptTokens: 130, reusedTokens: 100, savedMs: 14 })
  t.deepEqual(today.of(at(6, 1), counted(231, 160, 19)), { sinceMs: at(6, 0), promptTokens: 1, reusedTokens: 0, savedMs: 0 })
})

test('midnight is that of the machine’s time zone', t => {
  t.is(midnightBefore(at(3, 17)), at(3, 0))
  t.is(midnightBefore(at(3, 0)), at(3, 0))
})
