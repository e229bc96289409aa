// A chart's options for uPlot: colours come from the page's custom properties, so both themes are right.

import type uPlot from 'uplot'
import type { ChartBand, ChartSeries } from './chart.js'

export const CHART_HEIGHT = 180
const AXIS_SIZE = { across: 34, up: 68 }
/** Room above the highest value. */
const HEADROOM = 1.1
const DASH = [6, 4]
const POWERS_OF_TWO = Array.from({ length: 50 }, (_, power) => 2 ** power)
/** Seconds. */
const CLOCK = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600]
/** Steps of an axis that counts things. */
const WHOLE = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat()

export interface ChartSetup {
  readonly width: number
  readonly series: readonly ChartSeries[]
  readonly bands?: readonly ChartBand[] | undefined
  readonly across: string
  readonly formatAcross: (value: number) => string
  /** The same in the legend. @default formatAcross */
  readonly formatPoint?: ((value: number) => string) | undefined
  readonly format: (value: number) => string
  /** Whether the axis across counts in powers of two, as capacities do. */
  readonly isBinary?: boolean | undefined
  /** Whether the axis across counts seconds of a clock: its steps are those of one. */
  readonly isClock?: boolean | undefined
  /** Whether the axis up counts things, which come whole. */
  readonly isWhole?: boolean | undefined
  readonly top?: number | undefined
  /** A value across at which a line stands. */
  readonly mark?: number | undefined
  /** The value that the legend tells of a series (counted from 1) at an index. */
  readonly told: (series: number, index: number | null) => number | null
}

const cssColour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

function axis(format: (value: number) => string, size: number, space: number): uPlot.Axis {
  const line = { stroke: cssColour('--line'), width: 1 }
  const font = `12px ${getComputedStyle(document.body).fontFamily}`
  return { stroke: cssColour('--text-soft'), font, grid: line, ticks: line, size, space, values: (_, splits) => splits.map(format) }
}

function seriesOptions({ label, colour, fill, dashed }: ChartSeries, setup: ChartSetup): uPlot.Series {
  const stroke = cssColour(colour)
  return {
    label,
    stroke,
    width: 2,
    points: { show: false },
    ...(fill ? { fill: stroke } : {}),
    ...(dashed ? { dash: DASH } : {}),
    value: (_, __, series, index) => {
      const value = setup.told(series, index)
      return value === null ? '–' : setup.format(value)
    },
  }
}

/** Draws a dashed line from top to bottom. */
function markAt(value: number): (plot: uPlot) => void {
  return ({ ctx, bbox, valToPos }) => {
    const x = valToPos(value, 'x', true)
    ctx.save()
    ctx.strokeStyle = cssColour('--text')
    ctx.lineWidth = devicePixelRatio
    ctx.setLineDash(DASH)
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    ctx.restore()
  }
}

export function chartOptions(setup: ChartSetup): uPlot.Options {
  const { width, top, across, formatAcross, formatPoint = formatAcross, format, isBinary, isClock, isWhole } = setup
  const highest = (max: number | null) => top ?? (max === null || max <= 0 ? 1 : max * HEADROOM)
  return {
    width,
    height: CHART_HEIGHT,
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: false }, y: { range: (_, __, max) => [0, highest(max)] } },
    axes: [
      { ...axis(formatAcross, AXIS_SIZE.across, 70), ...(isBinary ? { incrs: POWERS_OF_TWO } : isClock ? { incrs: CLOCK } : {}) },
      { ...axis(format, AXIS_SIZE.up, 32), ...(isWhole ? { incrs: WHOLE } : {}) },
    ],
    ...(setup.mark === undefined ? {} : { hooks: { draw: [markAt(setup.mark)] } }),
    bands: (setup.bands ?? []).map(({ upper, lower, colour }) => ({
      series: [upper, lower],
      ...(colour === undefined ? {} : { fill: cssColour(colour) }),
    })),
    series: [
      { label: across, value: (_, value) => (value === null ? '–' : formatPoint(value)) },
      ...setup.series.map((series) => seriesOptions(series, setup)),
    ],
  }
}
