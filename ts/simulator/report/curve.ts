// Lines over capacity as SVG: one a policy.

import { escaped } from './escape.js'

interface Line {
  readonly name: string
  /** `x` > 0; `y` from 0 to 1. */
  readonly points: ReadonlyArray<{ readonly x: number; readonly y: number }>
}

const WIDTH = 640
const HEIGHT = 320
const LEFT = 56
const BOTTOM = 40
const TOP = 12
const RIGHT = 130

const COLOURS = ['#0969da', '#cf222e', '#1a7f37', '#8250df', '#9a6700'] as const

export interface MissPoint {
  readonly line: string
  readonly label: string
  readonly blocks: number
  /** 0 … 1. */
  readonly missRate: number
}

/** Tiers that hold nothing have no place on a logarithmic scale. */
export function missCurve(points: readonly MissPoint[]): string {
  const shown = points.filter(({ blocks }) => blocks > 0)
  if (shown.length === 0) return '<p>No tier holds a block.</p>'
  const lines: Line[] = [...new Set(shown.map(({ line }) => line))].map((name) => ({
    name,
    points: shown
      .filter(({ line }) => line === name)
      .map(({ blocks, missRate }) => ({ x: blocks, y: missRate }))
      .sort((a, b) => a.x - b.x),
  }))
  const labels = new Map(shown.map(({ blocks, label }) => [blocks, label]))
  return curve(lines, 'Miss ratio by capacity', [...labels].map(([x, text]) => ({ x, text })))
}

/** Shares against capacities on a logarithmic scale; `labels` name some of the capacities. */
function curve(lines: readonly Line[], title: string, labels: ReadonlyArray<{ readonly x: number; readonly text: string }>): string {
  const all = lines.flatMap(({ points }) => points.map(({ x }) => Math.log(x)))
  const [low, high] = [Math.min(...all), Math.max(...all)]
  const across = (x: number): number => LEFT + ((Math.log(x) - low) / (high - low || 1)) * (WIDTH - LEFT - RIGHT)
  const down = (y: number): number => TOP + (1 - y) * (HEIGHT - TOP - BOTTOM)
  const parts = [
    ...[0, 0.25, 0.5, 0.75, 1].map((y) => gridLine(down(y), `${100 * y} %`)),
    ...labels.map(({ x, text }) => `<text x="${across(x).toFixed(1)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${escaped(text)}</text>`),
    ...lines.map((line, i) => plotted(line, COLOURS[i % COLOURS.length] ?? COLOURS[0], i, across, down)),
  ]
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">${parts.join('')}</svg>`
}

function gridLine(y: number, text: string): string {
  const line = `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}" stroke="#ddd"/>`
  return `${line}<text x="${LEFT - 6}" y="${(y + 4).toFixed(1)}" text-anchor="end">${text}</text>`
}

function plotted({ name, points }: Line, colour: string, place: number, across: (x: number) => number, down: (y: number) => number): string {
  const spots = points.map(({ x, y }) => `${across(x).toFixed(1)},${down(y).toFixed(1)}`)
  const dots = spots.map((spot) => `<circle cx="${spot.replace(',', '" cy="')}" r="3" fill="${colour}"/>`)
  const legend = `<text x="${WIDTH - RIGHT + 12}" y="${TOP + 16 + 18 * place}" fill="${colour}">${escaped(name)}</text>`
  return `<polyline points="${spots.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}${legend}`
}
