// Shares of a whole as bars side by side, in SVG.

import { escaped } from './escape.js'

export interface Bar {
  readonly name: string
  /** Shares 0 … 1 of one whole, in the order of the legend. */
  readonly shares: readonly number[]
}

const WIDTH = 640
const LEFT = 130
const RIGHT = 60
const ROW = 28
const TOP = 26

const COLOURS = ['#1a7f37', '#2da44e', '#7ac48f', '#d0d7de', '#cf222e', '#9a6700', '#8250df', '#57606a'] as const

/** One bar a row; `legend` names the parts. */
export function bars(rows: readonly Bar[], legend: readonly string[], title: string): string {
  const height = TOP + ROW * rows.length + 8
  const step = (WIDTH - LEFT) / Math.max(1, legend.length)
  const names = legend.map((text, i) => `<rect x="${(LEFT + i * step).toFixed(1)}" y="4" width="10" height="10" fill="${colour(i)}"/><text x="${(LEFT + i * step + 14).toFixed(1)}" y="14">${escaped(text)}</text>`)
  const parts = rows.map((row, i) => bar(row, TOP + ROW * i))
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">${names.join('')}${parts.join('')}</svg>`
}

function bar({ name, shares }: Bar, y: number): string {
  const width = WIDTH - LEFT - RIGHT
  let from = 0
  const pieces = shares.map((share, i) => {
    const piece = `<rect x="${(LEFT + from * width).toFixed(1)}" y="${y}" width="${(share * width).toFixed(1)}" height="18" fill="${colour(i)}"><title>${(100 * share).toFixed(1)} %</title></rect>`
    from += share
    return piece
  })
  return `<text x="${LEFT - 8}" y="${y + 14}" text-anchor="end">${escaped(name)}</text>${pieces.join('')}`
}

function colour(place: number): string {
  return COLOURS[place % COLOURS.length] ?? COLOURS[0]
}
