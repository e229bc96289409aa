// The figures that answer "does the cache work for me?".

import type { Sample } from 'attentionstore/protocol'
import { computed, type ComputedRef } from 'vue'
import type { Live } from '../../connection/use-connection.js'
import { formatCount, formatDuration, formatMs, formatNumber, formatShare } from '../../format.js'

export interface Figure {
  readonly label: string
  readonly value: string
  readonly hint: string
}

export const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

function toFigures({ tokens, saved, ttft, requests }: Sample, answerRate: number | null): readonly Figure[] {
  const reused = sum(Object.values(tokens.reused))
  const without = ttft?.withoutReuse ?? null
  return [
    {
      label: 'Prompt tokens reused',
      value: formatShare(reused, tokens.prompt),
      hint: `${formatNumber(reused)} of ${formatNumber(tokens.prompt)} since the start`,
    },
    {
      label: 'Computation saved (estimated)',
      value: formatDuration(saved.ms),
      hint: `${formatNumber(saved.tokens)} tokens were not computed`,
    },
    {
      label: 'Time to first token, median',
      value: formatMs(ttft?.p50 ?? null),
      hint: ttft ? `95 % within ${formatMs(ttft.p95)}; ${formatCount(ttft.count, 'turn')} in the last minute` : 'no turn in the last minute',
    },
    {
      label: 'Without reuse (estimated)',
      value: formatMs(without?.p50 ?? null),
      hint: without ? `95 % within ${formatMs(without.p95)}` : 'no measurements to estimate it from yet',
    },
    {
      label: 'Requests now',
      value: `${formatNumber(requests.running)} running`,
      hint: `${formatNumber(requests.queued + requests.preparing)} waiting`,
    },
    {
      label: 'Answers, tokens a second',
      value: answerRate === null ? '–' : formatNumber(answerRate, answerRate < 10 ? 1 : 0),
      hint: `${formatNumber(tokens.completion)} tokens since the start`,
    },
  ]
}

export function useSavings(live: Live): ComputedRef<readonly Figure[]> {
  return computed(() => {
    const sample = live.sample.value
    return sample ? toFigures(sample, live.history.rates('generated').at(-1) ?? null) : []
  })
}
