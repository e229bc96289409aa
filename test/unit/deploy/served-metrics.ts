// The metrics that a server has, with their labels, and whether queries ask for such.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startServer } from '../../../ts/index.js'
import { LANES } from '../../../ts/protocol/lanes.js'
import { openTestApi } from '../support/api.js'
import { readQuery, type Matcher } from './promql.js'

/** Values by label, by the name of a sample. */
export type Metrics = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>

/** Labels that Prometheus itself gives to all it scrapes. */
const SCRAPED: ReadonlySet<string> = new Set(['job', 'instance'])

/** Names and labels from the text of `/metrics`; of metrics without a sample, the name alone. */
export function metricsOf(...pages: readonly string[]): Metrics {
  const metrics = new Map<string, Map<string, Set<string>>>()
  for (const line of pages.join('\n').split('\n')) {
    const [, name = '', , labels = ''] = /^(?:# TYPE )?(\w+)( (?:counter|gauge)$|\{(.*)\} )?/.exec(line) ?? []
    if (line === '' || (line.startsWith('#') && !line.startsWith('# TYPE ')) || line.endsWith(' histogram')) continue
    const known = metrics.get(name) ?? new Map<string, Set<string>>()
    metrics.set(name, known)
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="([^"]*)"/g)) {
      known.set(label, (known.get(label) ?? new Set()).add(value))
    }
  }
  return metrics
}

const page = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text()

/** Those of a server on the simulated engine, and of one to which everything that is counted has happened. */
export async function servedMetrics(): Promise<Metrics> {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-metrics-'))
  const sizes = { hbmBytes: '32MiB', dramBytes: '64MiB', ssdBytes: '64MiB' }
  const server = await startServer({ device: 'simulated', port: 0, dataDir: folder, logLevel: 'error', ...sizes })
  try {
    const served = await page(server.url)
    const eventful = await openTestApi()
    const counted = await page(eventful.url)
    await eventful.close()
    // Which transfers fail is the machine's choice.
    const failures = Object.keys(LANES).map((kind) => `attentionstore_failed_transfers_total{kind="${kind}",code="kv_io"} 1`)
    return metricsOf(served, counted, ...failures)
  } finally {
    await server.close(0)
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * A sentence for each thing in a query that no server has; none: the query finds what it asks for.
 * @param recorded Names that rules give.
 */
export function queryProblems(text: string, metrics: Metrics, recorded: ReadonlySet<string> = new Set()): string[] {
  const { selectors, grouping } = readQuery(text)
  const own = selectors.filter(({ metric }) => metric !== 'up' && !recorded.has(metric))
  const labels = own.map(({ metric }) => metrics.get(metric))
  const isGroup = (label: string) => SCRAPED.has(label) || labels.some((known) => known?.has(label))
  return [
    ...own.flatMap(({ metric, matchers }) => selectorProblems(metric, matchers, metrics)),
    ...grouping.filter((label) => !isGroup(label)).map((label) => `no metric of ${text} has the label ${label}`),
  ]
}

function selectorProblems(metric: string, matchers: readonly Matcher[], metrics: Metrics): string[] {
  const known = metrics.get(metric)
  if (!known) return [`no server has the metric ${metric}`]
  return matchers
    .filter(({ label }) => !SCRAPED.has(label))
    .flatMap(({ label, operator, value }) => {
      const values = known.get(label)
      if (!values) return [`${metric} has no label ${label}`]
      const wanted = operator.includes('~') ? new RegExp(`^(?:${value})$`) : { test: (one: string) => one === value }
      return [...values].some((one) => wanted.test(one)) ? [] : [`${metric} is never ${label}=${value}`]
    })
}
