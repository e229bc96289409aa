// The charts of the overview: what each draws, and from which figures.

import { STREAM_NAMES, TIER_NAMES, wayOf } from 'attentionstore/protocol'
import type { ChartBand, ChartSeries } from '../../components/chart.js'
import { formatMs, formatNumber, formatRate } from '../../format.js'
import type { SampleHistory, Values } from '../../history/history.js'
import { streamColour } from '../../tiers.js'

export interface OverviewChart {
  readonly title: string
  /** For a choice among all. */
  readonly short: string
  readonly explain: string
  readonly series: readonly ChartSeries[]
  /** Drawn on top of each other, so that the highest line is the sum. */
  readonly isStacked?: boolean
  readonly isWhole?: boolean
  readonly bands?: readonly ChartBand[]
  readonly top?: number
  readonly read: (history: SampleHistory) => readonly Values[]
  readonly format: (value: number) => string
}

const perSecond = (value: number) => `${formatNumber(value, value < 10 ? 1 : 0)}/s`
const percent = (value: number) => `${formatNumber(value * 100, 0)} %`

export const CHARTS: readonly OverviewChart[] = [
  {
    title: 'Hit rate by tier',
    short: 'Hit rate',
    explain: 'Share of prompt tokens that came from each tier; the empty part was computed. Over 8 seconds each.',
    series: TIER_NAMES.map((tier) => ({ label: tier, colour: `--${tier}`, fill: true })),
    isStacked: true,
    bands: TIER_NAMES.slice(1).map((_, index) => ({ upper: TIER_NAMES.length - index, lower: TIER_NAMES.length - index - 1 })),
    top: 1,
    read: (history) => TIER_NAMES.map((tier) => history.shares(tier, 'prompt')),
    format: percent,
  },
  {
    title: 'Time to first token',
    short: 'First token',
    explain: 'Time until answers began, over the last minute; dashed: the estimated median without reuse.',
    series: [
      { label: 'median', colour: '--dram' },
      { label: '95 % within', colour: '--hbm' },
      { label: 'median without reuse, estimated', colour: '--computed', dashed: true },
    ],
    read: (history) => [history.gauge('ttftP50'), history.gauge('ttftP95'), history.gauge('withoutReuseP50')],
    format: formatMs,
  },
  {
    title: 'Tokens a second',
    short: 'Tokens',
    explain: 'Prompt tokens that were reused and that had to be computed, and tokens of answers, all requests together.',
    series: [
      { label: 'reused', colour: '--dram' },
      { label: 'computed', colour: '--computed' },
      { label: 'answers', colour: '--generated' },
    ],
    read: (history) => {
      const [fastest = [], ...slower] = TIER_NAMES.map((tier) => history.rates(tier))
      const reused = fastest.map((value, index) => value === null ? null : slower.reduce((sum, rates) => sum + (rates[index] ?? 0), value))
      return [reused, history.rates('computed'), history.rates('generated')]
    },
    format: perSecond,
  },
  {
    title: 'Queue',
    short: 'Queue',
    explain: 'Requests that wait for room or for their history, and requests whose answer is being computed.',
    series: [
      { label: 'running', colour: '--hbm' },
      { label: 'waiting', colour: '--queued' },
    ],
    isWhole: true,
    read: (history) => [history.gauge('running'), history.gauge('queued')],
    format: (value) => formatNumber(value),
  },
  {
    title: 'Bytes moved',
    short: 'Bytes',
    explain: `Between the tiers, a second: ${STREAM_NAMES.map((name) => `${name} ${wayOf(name)}`).join(', ')}.`,
    series: STREAM_NAMES.map((name) => ({ label: name, colour: `--${streamColour(name)}` })),
    read: (history) => STREAM_NAMES.map((name) => history.rates(name)),
    format: formatRate,
  },
]
