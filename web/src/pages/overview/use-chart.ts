// A chart's lines from the history, and the newest values in words for those who do not see them.

import { computed, type ComputedRef } from 'vue'
import type { ChartContent } from '../../components/chart.js'
import type { Live } from '../../connection/use-connection.js'
import type { OverviewChart } from './charts.js'
import { stacked } from './stack.js'

export interface ChartFeed {
  readonly content: () => ChartContent
  readonly summary: ComputedRef<string>
}

export function useChart(live: Live, { series, read, isStacked, format }: OverviewChart): ChartFeed {
  return {
    content: () => {
      const times = live.history.times()
      const told = read(live.history)
      return { drawn: [times, ...(isStacked ? stacked(told) : told)], told: [times, ...told] }
    },
    summary: computed(() => {
      if (live.sample.value === null) return 'no data yet'
      const newest = read(live.history).map((values) => values.at(-1) ?? null)
      return series.map(({ label }, index) => `${label} ${toldAs(newest[index] ?? null, format)}`).join(', ')
    }),
  }
}

const toldAs = (value: number | null, format: (value: number) => string) => (value === null ? 'none yet' : format(value))
