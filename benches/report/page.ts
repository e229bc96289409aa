// The report of a run as one HTML page that needs nothing else: no script, no style sheet, no picture from elsewhere.

import { escaped } from '../../ts/simulator/report/escape.js'
import type { Plot, Report, Table } from '../support/bench.js'
import { plotSvg } from './plot.js'

export interface Measured {
  readonly name: string
  readonly about: string
  readonly seconds: number
  readonly report: Report
}

export interface PageHead {
  readonly machine: string
  readonly threads: number
  readonly quick: boolean
  /** When it was measured, as a reader writes it. */
  readonly date: string
  readonly version: string
}

const STYLE = `:root{color-scheme:light dark;--ink:#1f2328;--paper:#fff;--line:#d0d7de;--faint:#59636e;--bar:#4c8dd6;--whisker:#1f2328;--limit:#bc4c00}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--line:#30363d;--faint:#9198a1;--bar:#2f6db5;--whisker:#e6edf3;--limit:#f0883e}}
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--paper)}
nav ul{columns:2;padding-left:1.2rem}a{color:inherit}.about{color:var(--faint)}
figure{margin:1.5rem 0;overflow-x:auto}figcaption{font-weight:600}svg{width:100%;min-width:36rem;height:auto;font-size:12px}
svg text{fill:var(--ink)}.bar{fill:var(--bar)}.whisker{stroke:var(--whisker);stroke-width:1.5;fill:none}.limit{stroke:var(--limit);stroke-width:3;fill:none}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0}caption{text-align:left;font-weight:600;padding:.25rem 0}
th,td{padding:.25rem .6rem;text-align:left;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}`

const KEY = `A bar is the median of the rounds (a ceiling's is its best round), the whisker reaches from the least to the greatest, and the
upright mark is the limit that the figure is held against. Warm-up rounds are not counted.`

function tableHtml({ title, columns, rows }: Table): string {
  const cells = (tag: 'th' | 'td', row: readonly string[]) => row.map((cell) => `<${tag}${tag === 'th' ? ' scope="col"' : ''}>${escaped(cell)}</${tag}>`).join('')
  const body = rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('\n')
  return `<div class="scroll"><table><caption>${escaped(title)}</caption><thead><tr>${cells('th', columns)}</tr></thead><tbody>\n${body}\n</tbody></table></div>`
}

function plotHtml(plot: Plot): string {
  return `<figure><figcaption>${escaped(plot.title)}, ${escaped(plot.unit)}</figcaption>\n${plotSvg(plot)}\n</figure>`
}

function section({ name, about, seconds, report }: Measured): string {
  const notes = report.notes.length === 0 ? '' : `<ul>${report.notes.map((note) => `<li>${escaped(note)}</li>`).join('\n')}</ul>`
  return `<section id="${escaped(name)}" aria-labelledby="${escaped(name)}-title"><h2 id="${escaped(name)}-title">${escaped(name)}</h2>
<p class="about">${escaped(about)}; measured in ${seconds.toFixed(0)} s</p>
${report.plots.filter(({ bars }) => bars.length > 0).map(plotHtml).join('\n')}
${report.tables.map(tableHtml).join('\n')}
${notes}</section>`
}

export function reportPage({ machine, threads, quick, date, version }: PageHead, measured: readonly Measured[]): string {
  const links = measured.map(({ name, about }) => `<li><a href="#${escaped(name)}">${escaped(name)}</a>: ${escaped(about)}</li>`)
  const short = quick ? ' A short run (QUICK=1): few rounds.' : ''
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>AttentionStore, measured</title><style>${STYLE}</style></head><body>
<header><h1>AttentionStore, measured</h1>
<p>${escaped(machine)}; ${threads} threads compute. Version ${escaped(version)}, ${escaped(date)}.${short}</p>
<p class="about">${KEY}</p></header>
<nav aria-label="Benchmarks"><ul>${links.join('\n')}</ul></nav>
<main>
${measured.map(section).join('\n')}
</main></body></html>
`
}
