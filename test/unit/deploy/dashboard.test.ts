// The Grafana dashboard in deploy/grafana: its queries find what a server has, and its panels do not cover one another.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ROOT } from '../../support/paths.js'
import { queryProblems, servedMetrics } from './served-metrics.js'

interface Place {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}

interface Source {
  readonly type: string
  readonly uid: string
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: Place
  readonly datasource?: Source
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
  readonly targets?: ReadonlyArray<{ readonly refId: string; readonly expr: string; readonly datasource: Source }>
}

interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: ReadonlyArray<{ name: string; type: string; query: string | { query: string } }> }
}

const GRID_WIDTH = 24
/** Of Grafana's own; https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts */
const UNITS: ReadonlySet<string | undefined> = new Set(['none', 'percentunit', 's', 'bytes', 'Bps', 'reqps'])

const { panels, templating } = JSON.parse(readFileSync(join(ROOT, 'deploy/grafana/dashboard.json'), 'utf8')) as Dashboard
const drawn = panels.filter(({ type }) => type !== 'row')
const queries = drawn.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })))

/** As Grafana fills its variables in. */
const filled = (expr: string): string => expr.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '1h')

function overlaps(a: Place, b: Place): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}

test('each query is PromQL over metrics that a server has, of the chosen servers alone', async (t) => {
  const metrics = await servedMetrics()
  for (const { title, expr } of queries) {
    t.deepEqual(queryProblems(filled(expr), metrics), [], title)
    t.is(expr.match(/attentionstore_/g)?.length, expr.match(/instance=~"\$instance"/g)?.length, title)
  }
})

test('the source of all data is the variable of the dashboard', (t) => {
  t.deepEqual(templating.list.map(({ name, type }) => [name, type]), [['datasource', 'datasource'], ['instance', 'query']])
  const chosen = { type: 'prometheus', uid: '${datasource}' }
  for (const { title, datasource, targets = [] } of drawn) {
    t.deepEqual(datasource, chosen, title)
    t.true(targets.length > 0, title)
    for (const target of targets) t.deepEqual(target.datasource, chosen, title)
    t.is(new Set(targets.map(({ refId }) => refId)).size, targets.length, title)
  }
})

test('each panel has an id, a title, a description and a unit', (t) => {
  t.is(new Set(panels.map(({ id }) => id)).size, panels.length)
  t.true(panels.every(({ title }) => title !== ''))
  t.deepEqual(drawn.filter(({ description = '' }) => !description.endsWith('.')).map(({ title }) => title), [])
  t.deepEqual(drawn.filter(({ fieldConfig }) => !UNITS.has(fieldConfig?.defaults.unit)).map(({ title }) => title), [])
})

test('no panel covers another, and all lie in the grid', (t) => {
  const covered = panels.flatMap((a, index) => panels.slice(index + 1).filter((b) => overlaps(a.gridPos, b.gridPos)).map((b) => `${a.title} / ${b.title}`))
  t.deepEqual(covered, [])
  for (const { title, gridPos } of panels) t.true(gridPos.x >= 0 && gridPos.x + gridPos.w <= GRID_WIDTH, title)
  t.true(overlaps({ x: 0, y: 0, w: 8, h: 8 }, { x: 7, y: 7, w: 8, h: 8 }))
  t.false(overlaps({ x: 0, y: 0, w: 8, h: 8 }, { x: 8, y: 0, w: 8, h: 8 }))
})
