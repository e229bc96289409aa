// The alert rules in deploy/prometheus: they ask for metrics that a server has, and say what to do.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { parse } from 'yaml'
import { ROOT } from '../../support/paths.js'
import { testNeeding } from '../../support/requirements.js'
import { readQuery } from './promql.js'
import { metricsOf, queryProblems, servedMetrics } from './served-metrics.js'

interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

const folder = join(ROOT, 'deploy/prometheus')
const { groups } = parse(readFileSync(join(folder, 'rules.yaml'), 'utf8')) as { groups: ReadonlyArray<{ name: string; rules: readonly Rule[] }> }
const rules = groups.flatMap((group) => group.rules)
const alerts = rules.filter(({ alert }) => alert !== undefined)

test('each rule is PromQL over metrics that a server has', async (t) => {
  const metrics = await servedMetrics()
  const recorded = new Set(rules.flatMap(({ record }) => record ?? []))
  for (const { alert, record, expr } of rules) t.deepEqual(queryProblems(expr, metrics, recorded), [], alert ?? record)
})

test('a query that asks for what no server has is found out', (t) => {
  const metrics = metricsOf('# TYPE a_total counter\na_total{kind="read"} 1\n# TYPE b gauge\n')
  const problems = (text: string) => queryProblems(text, metrics).join('; ')
  t.is(problems('sum by (kind, instance) (rate(a_total{kind=~"read|write", job="x"}[5m])) / on (job) up'), '')
  t.is(problems('b > 1'), '')
  t.regex(problems('c'), /no server has the metric c/)
  t.regex(problems('a_total{sort="read"}'), /a_total has no label sort/)
  t.regex(problems('a_total{kind="write"}'), /a_total is never kind=write/)
  t.regex(problems('sum by (sort) (a_total)'), /no metric of .* has the label sort/)
  t.throws(() => readQuery('sum(rate(a_total[5m])'), { message: /no PromQL at 21/ })
})

test('each alert has a severity, a sentence, and a text that says what to do', (t) => {
  const names = alerts.map(({ alert = '' }) => alert)
  t.deepEqual(names, [...new Set(names)])
  for (const { alert = '', labels, annotations } of alerts) {
    t.regex(alert, /^AttentionStore[A-Z]\w+$/)
    t.regex(labels?.['severity'] ?? '', /^(critical|warning)$/, alert)
    t.regex(annotations?.['summary'] ?? '', /\{\{ \$labels\.instance \}\}/, alert)
    t.regex(annotations?.['description'] ?? '', /\b(Look|look|Compare|Add|Give|Remove|stop|keeps)\b/, alert)
    t.true((annotations?.['description'] ?? '').length > 100, alert)
  }
})

test('the job of the scrape is the one that an alert names', (t) => {
  const config = parse(readFileSync(join(folder, 'prometheus.yaml'), 'utf8')) as {
    rule_files: readonly string[]
    scrape_configs: ReadonlyArray<{ job_name: string; static_configs: ReadonlyArray<{ targets: readonly string[] }> }>
  }
  const [scrape] = config.scrape_configs
  t.deepEqual(config.rule_files, ['rules.yaml'])
  t.deepEqual(scrape?.static_configs, [{ targets: ['127.0.0.1:8080'] }])
  const up = alerts.flatMap(({ expr }) => readQuery(expr).selectors).filter(({ metric }) => metric === 'up')
  t.deepEqual(up.flatMap(({ matchers }) => matchers), [{ label: 'job', operator: '=', value: scrape?.job_name ?? '' }])
})

testNeeding('promtool')('promtool takes the rules, and each alert of its test fires when it should', (t) => {
  execFileSync('promtool', ['check', 'config', join(folder, 'prometheus.yaml')], { stdio: ['ignore', 'ignore', 'pipe'] })
  execFileSync('promtool', ['test', 'rules', ...['alerts.yaml', 'hit-rate.yaml'].map((name) => join(import.meta.dirname, name))], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.pass()
})
