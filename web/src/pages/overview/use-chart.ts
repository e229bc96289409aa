// A chart's lines from the history, and the newest values in words for those who do not see them.

import { computed, type ComputedRef } from 'vue'
import type { ChartContent } from '../../components/chart.js'
import type { Live } from '../../connection/use-connection.js'
import { formatClock, formatTime } from '../../format.js'
import type { OverviewChart } from './charts.js'
import { stacked } from './stack.js'

export interface ChartFeed {
  /** A time on the axis, seconds since the Unix epoch: on a tick, and in full for the pointer. */
  readonly formatAcross: (at: number) => string
  readonly formatPoint: (at: number) => string
  readonly content: () => ChartContent
  readonly summary: ComputedRef<string>
}

export function useChart(live: Live, { series, read, isStacked, format }: OverviewChart): ChartFeed {
  const startedAt = () => (live.info.value?.startedAtMs ?? 0) / 1000
  return {
    formatAcross: (at) => formatTime(at * 1000),
    formatPoint: (at) => `${formatTime(at * 1000)}, up for ${formatClock(at - startedAt())}`,
    content: () => {
      const times = live.history.times().map((uptime) => startedAt() + uptime)
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
