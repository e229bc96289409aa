// The charts of the overview: what each draws.

import { formatMs, formatNumber } from '../format.js'
import type { ChartColumn } from './use-series.js'

export interface ChartPanel {
  readonly title: string
  readonly note: string
  readonly columns: readonly ChartColumn[]
  readonly format: (value: number) => string
}

const perSecond = (value: number) => `${formatNumber(value, value < 10 ? 1 : 0)}/s`

export const CHARTS: readonly ChartPanel[] = [
  {
    title: 'Prompt tokens by source',
    note: 'tokens a second, by the tier in which they lay when the request was queued, and those that were computed',
    columns: [
      { label: 'hbm', column: 'hbm', colour: '--hbm' },
      { label: 'dram', column: 'dram', colour: '--dram' },
      { label: 'ssd', column: 'ssd', colour: '--ssd' },
      { label: 'computed', column: 'computed', colour: '--computed' },
    ],
    format: perSecond,
  },
  {
    title: 'Generated tokens',
    note: 'answer tokens a second, all requests together',
    columns: [{ label: 'generated', column: 'generated', colour: '--generated' }],
    format: perSecond,
  },
  {
    title: 'Requests',
    note: 'in the queue and in the batch',
    columns: [
      { label: 'running', column: 'running', colour: '--running' },
      { label: 'queued', column: 'queued', colour: '--queued' },
    ],
    format: (value) => formatNumber(value),
  },
  {
    title: 'Time to first token',
    note: 'of the turns that began to answer in each half second: median and longest',
    columns: [
      { label: 'median', column: 'ttftP50', colour: '--dram', points: true },
      { label: 'longest', column: 'ttftMax', colour: '--hbm', points: true },
    ],
    format: formatMs,
  },
]
