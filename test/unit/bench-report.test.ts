import test from 'ava'
import { reportPage, type Measured } from '../../benches/report/page.js'
import { plotSvg } from '../../benches/report/plot.js'

const bar = (label: string, value: number, limit: number | null = null) => ({ label, value, low: value * 0.9, high: value * 1.2, limit })

const measured: Measured = {
  name: 'disk',
  about: 'reads <and> writes',
  seconds: 3.2,
  report: {
    tables: [{ title: 'Rates & more', columns: ['', 'GB/s'], rows: [['<read>', '1.20']] }],
    plots: [
      { title: 'Rates', unit: 'GB/s', bars: [bar('read', 1.2, 1.5), bar('write', 0.6)] },
      { title: 'Nothing', unit: 'ms', bars: [] },
    ],
    notes: ['met: "yes"'],
    data: null,
  },
}

const head = { machine: '2 × CPU', threads: 2, quick: true, date: '2026-01-02', version: '0.1.0' }

test('a plot says in words what it shows', (t) => {
  const svg = plotSvg({ title: 'Rates', unit: 'GB/s', bars: [bar('read & verify', 2, 3), bar('write', 1)] })
  t.regex(svg, /role="img" aria-label="Rates, GB\/s\. read &amp; verify: 2\.00 \(1\.80 to 2\.40, limit 3\.00\); write: 1\.00 \(0\.90 to 1\.20\)"/)
})

test('bars, whiskers and limits lie where their values are, on one scale', (t) => {
  const svg = plotSvg({ title: 'x', unit: 'ms', bars: [bar('a', 10), bar('b', 5, 12)] })
  const widths = [...svg.matchAll(/class="bar"[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width))
  const [a = 0, b = 0] = widths
  t.is(widths.length, 2)
  t.true(Math.abs(a / b - 2) < 0.01)
  const limits = [...svg.matchAll(/class="limit" d="M([\d.]+) /g)].map(([, at]) => Number(at))
  // 12 is the highest bar's greatest value, so the mark ends the scale: 12/10 of the first bar from the same start.
  t.is(limits.length, 1)
  t.true(Math.abs((limits[0] ?? 0) - 300 - a * 1.2) < 0.2)
})

test('a limit far beyond the figures is left to the table', (t) => {
  t.false(plotSvg({ title: 'x', unit: 'ms', bars: [bar('a', 1, 100)] }).includes('class="limit"'))
})

test('the page needs nothing from elsewhere and runs nothing', (t) => {
  const page = reportPage(head, [measured])
  t.notRegex(page, /<script|<link|<img|@import|url\(|\ssrc=|https?:/i)
  t.regex(page, /prefers-color-scheme:dark/)
  t.regex(page, /<html lang="en">/)
})

test('what was measured is escaped, and empty plots are left out', (t) => {
  const page = reportPage(head, [measured])
  t.true(page.includes('&lt;read&gt;') && page.includes('reads &lt;and&gt; writes') && page.includes('met: &quot;yes&quot;'))
  t.is(page.match(/<figure>/g)?.length, 1)
  t.true(page.includes('A short run (QUICK=1)'))
  t.true(page.includes('href="#disk"') && page.includes('id="disk"'))
})
