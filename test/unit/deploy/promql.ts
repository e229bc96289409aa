// Expressions of PromQL, read by Prometheus' own grammar.

import { parser } from '@prometheus-io/lezer-promql'

export interface Matcher {
  readonly label: string
  readonly operator: string
  readonly value: string
}

export interface Query {
  /** Each metric with its matchers, in the order of the text. */
  readonly selectors: ReadonlyArray<{ readonly metric: string; readonly matchers: readonly Matcher[] }>
  /** Labels in `by`, `without`, `on` and `ignoring`. */
  readonly grouping: readonly string[]
}

/** @throws Error that shows where the text is no PromQL. */
export function readQuery(text: string): Query {
  const selectors: Array<{ metric: string; matchers: Matcher[] }> = []
  const grouping: string[] = []
  const matcher = { label: '', operator: '' }
  parser.parse(text).iterate({
    enter(node) {
      const own = text.slice(node.from, node.to)
      const parent = node.node.parent?.name
      if (node.type.isError) throw new Error(`no PromQL at ${node.from}: ${text.slice(Math.max(0, node.from - 20), node.from)}⚠${text.slice(node.from, node.from + 20)}`)
      if (node.name === 'Identifier' && parent === 'VectorSelector') selectors.push({ metric: own, matchers: [] })
      if (node.name === 'LabelName' && parent === 'GroupingLabels') grouping.push(own)
      else if (node.name === 'LabelName') matcher.label = own
      if (node.name === 'MatchOp') matcher.operator = own
      if (node.name === 'StringLiteral' && parent?.endsWith('Matcher')) selectors.at(-1)?.matchers.push({ ...matcher, value: own.slice(1, -1) })
    },
  })
  return { selectors, grouping }
}
