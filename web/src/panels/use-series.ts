// A chart's data from the history: one composable for all panels that draw lines.

import { computed, type ComputedRef } from 'vue'
import type { ChartData, ChartSeries } from '../components/chart.js'
import type { Live } from '../connection/use-connection.js'
import type { HistoryColumn } from '../history/history.js'

export interface ChartColumn extends ChartSeries {
  readonly column: HistoryColumn
}

export interface SeriesChart {
  readonly data: () => ChartData
  /** The newest values in words, for those who do not see the lines. */
  readonly summary: ComputedRef<string>
}

export function useSeries(live: Live, columns: readonly ChartColumn[], format: (value: number) => string): SeriesChart {
  const read = (column: HistoryColumn) => live.history.read(column)
  return {
    data: () => [read('at').map((at) => at ?? 0), ...columns.map(({ column }) => read(column))],
    summary: computed(() => {
      if (live.sample.value === null) return 'no data yet'
      return columns
        .map(({ column, label }) => {
          const value = live.history.latest(column)
          return `${label} ${value === null ? 'none yet' : format(value)}`
        })
        .join(', ')
    }),
  }
}
