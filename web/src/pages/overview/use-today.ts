// One line on what reuse saved today, or since the server started, if that was later.

import type { TodaySample } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Live } from '../../connection/use-connection.js'
import { formatDuration, formatHour, formatNumber, formatShare } from '../../format.js'

export interface TodayWords {
  /** "Today", "Since the server started at 14:02". */
  readonly when: string
  /** Empty: nothing was asked yet. */
  readonly share: string
  readonly rest: string
}

/** `now` and `startedAtMs`: milliseconds since the Unix epoch. */
export function todayWords({ sinceMs, promptTokens, reusedTokens, savedMs }: TodaySample, startedAtMs: number, now: number): TodayWords {
  // Midnight where the server is may be another hour here.
  const isMidnight = new Date(now).setHours(0, 0, 0, 0) === sinceMs
  // The two clocks of a start are read one after the other.
  const isStart = Math.abs(sinceMs - startedAtMs) < 60_000
  const when = isMidnight ? 'Today' : `Since ${isStart ? 'the server started at ' : ''}${formatHour(sinceMs)}`
  if (promptTokens === 0) return { when, share: '', rest: 'no prompt has come yet.' }
  if (reusedTokens === 0) return { when, share: '0 %', rest: `of ${formatNumber(promptTokens)} prompt tokens came from the cache.` }
  const saved = savedMs > 0 ? `, which saved about ${formatDuration(savedMs)} of computing` : ''
  return { when, share: formatShare(reusedTokens, promptTokens), rest: `of ${formatNumber(promptTokens)} prompt tokens came from the cache${saved}.` }
}

export function useToday(live: Live): ComputedRef<TodayWords | null> {
  return computed(() => {
    const { sample, info } = live
    if (!sample.value || !info.value) return null
    const { startedAtMs } = info.value
    return todayWords(sample.value.today, startedAtMs, startedAtMs + sample.value.uptimeMs)
  })
}
