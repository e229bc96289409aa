// The rules of `promtool check metrics` (client_golang, testutil/promlint) on a page in Prometheus' text format.

const BASE_UNITS = ['amperes', 'bytes', 'celsius', 'grams', 'joules', 'kelvin', 'meters', 'metres', 'seconds', 'volts']
const OTHER_UNITS = ['minutes', 'hours', 'days', 'weeks', 'kelvins', 'fahrenheit', 'rankine', 'inches', 'yards', 'miles', 'bits', 'calories', 'pounds', 'ounces']
const PREFIXES = 'pico nano micro milli centi deci deca hecto kilo kibi mega mibi giga gibi tera tebi peta pebi'.split(' ')
const FOREIGN_UNITS = new Set([...OTHER_UNITS, ...PREFIXES.flatMap((prefix) => [...BASE_UNITS, ...OTHER_UNITS].map((unit) => prefix + unit))])
const ABBREVIATIONS = new Set(['s', 'ms', 'us', 'ns', 'sec', 'b', 'kb', 'mb', 'gb', 'tb', 'pb', 'm', 'h', 'd'])
const TYPES = ['counter', 'gauge', 'summary', 'histogram', 'gauge_histogram']

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (?:[+-]?Inf|NaN|[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?: \d+)?$/

interface Family {
  readonly type: string
  hasHelp: boolean
  readonly labels: Set<string>
}

/** The family that a sample belongs to: of summaries and histograms, names with a suffix are parts. */
function familyOf(name: string, families: ReadonlyMap<string, Family>): Family | undefined {
  const own = families.get(name)
  if (own) return own
  const whole = families.get(name.replace(/_(count|sum|bucket)$/, ''))
  return whole?.type === 'histogram' || whole?.type === 'summary' ? whole : undefined
}

/** A sentence a problem; none: `promtool check metrics` passes the page. */
export function promtoolProblems(text: string): string[] {
  const families = new Map<string, Family>()
  const helped = new Set<string>()
  const seen = new Set<string>()
  const problems: string[] = text.endsWith('\n') ? [] : ['the last line does not end']
  for (const line of text.split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (kind === 'HELP' && rest !== '') helped.add(name)
    if (kind === 'TYPE') families.set(name, { type: rest, hasHelp: helped.has(name), labels: new Set() })
    if (line === '' || line.startsWith('#')) continue
    const [series = '', sample = '', labels = ''] = SAMPLE.exec(line) ?? []
    if (series === '') {
      problems.push(`not a sample: ${line}`)
      continue
    }
    const key = `${sample}{${labels}}`
    if (seen.has(key)) problems.push(`${key} comes twice`)
    seen.add(key)
    const family = familyOf(sample, families)
    if (!family) problems.push(`${sample} has no type`)
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) family?.labels.add(label)
  }
  return [...problems, ...[...families].flatMap(([name, family]) => familyProblems(name, family).map((problem) => `${name}: ${problem}`))]
}

function familyProblems(name: string, { type, hasHelp, labels }: Family): string[] {
  const isHistogram = type === 'histogram'
  const isSummary = type === 'summary'
  const words = name.toLowerCase().split('_')
  const rules: ReadonlyArray<readonly [broken: boolean, problem: string]> = [
    [!hasHelp, 'no help text'],
    [words.some((word) => FOREIGN_UNITS.has(word)), 'not a base unit'],
    [words.slice(1).some((word) => ABBREVIATIONS.has(word)), 'an abbreviated unit'],
    [(type === 'counter') !== name.endsWith('_total'), 'counters, and no others, end in _total'],
    [!isHistogram && name.endsWith('_bucket'), 'ends in _bucket'],
    [!isHistogram && !isSummary && /_(count|sum)$/.test(name), 'ends in _count or _sum'],
    [!isHistogram && labels.has('le'), 'the label le'],
    [!isSummary && labels.has('quantile'), 'the label quantile'],
    [TYPES.some((word) => `${name.toLowerCase()}_`.includes(`_${word}_`)), 'the name has its type'],
    [name.includes(':'), 'a colon in the name'],
    [[name, ...labels].some((word) => /[a-z][A-Z]/.test(word)), 'not in snake_case'],
  ]
  return rules.filter(([broken]) => broken).map(([, problem]) => problem)
}
