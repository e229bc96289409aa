// A plot as SVG: a bar a figure, a whisker for its spread, a mark for its limit. Colours come from the page.

import { escaped } from '../../ts/simulator/report/escape.js'
import type { Bar, Plot } from '../support/bench.js'
import { show } from '../support/figures.js'

const WIDTH = 720
const LABELS = 300
const FIGURES = 90
const ROW = 24
const TOP = 4

const AREA = WIDTH - LABELS - FIGURES

/** The plot in words, for those who do not see it. */
function inWords({ title, unit, bars }: Plot): string {
  const one = ({ label, value, low, high, limit }: Bar) => {
    const against = limit === null ? '' : `, limit ${show(limit)}`
    return `${label}: ${show(value)} (${show(low)} to ${show(high)}${against})`
  }
  return `${title}, ${unit}. ${bars.map(one).join('; ')}`
}

function row({ label, value, low, high, limit }: Bar, place: number, across: (value: number) => number): string {
  const middle = TOP + place * ROW + ROW / 2
  const at = (x: number) => (LABELS + across(x)).toFixed(1)
  const parts = [
    `<text x="${LABELS - 8}" y="${middle + 4}" text-anchor="end">${escaped(label)}</text>`,
    `<rect class="bar" x="${LABELS}" y="${middle - 7}" width="${across(value).toFixed(1)}" height="14"/>`,
    `<path class="whisker" d="M${at(low)} ${middle}H${at(high)}M${at(low)} ${middle - 4}v8M${at(high)} ${middle - 4}v8"/>`,
    ...(limit === null ? [] : [`<path class="limit" d="M${at(limit)} ${middle - 10}v20"/>`]),
    `<text x="${WIDTH - FIGURES + 10}" y="${middle + 4}">${show(value)}</text>`,
  ]
  return parts.join('')
}

export function plotSvg(plot: Plot): string {
  const { bars } = plot
  // A limit far away must not press the bars to nothing: it is then only in the table.
  const longest = Math.max(...bars.map(({ high }) => high))
  const seen = bars.map((bar) => (bar.limit !== null && bar.limit <= 1.5 * longest ? bar : { ...bar, limit: null }))
  const scale = Math.max(longest, ...seen.map(({ limit }) => limit ?? 0)) || 1
  const across = (value: number) => (AREA * value) / scale
  const height = TOP * 2 + bars.length * ROW
  const rows = seen.map((bar, place) => row(bar, place, across)).join('\n')
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(inWords(plot))}">\n${rows}\n</svg>`
}
