// The results as tables of a document.

import type { NeedleResult } from './needles.js'
import type { PerplexityResult, TokensResult } from './perplexity.js'
import { PLACEHOLDER } from './placeholders.js'
import type { Estimate } from './statistics.js'

export interface EvaluationResult {
  readonly model: string
  /** As the engine describes it. */
  readonly device: string
  readonly prose: readonly PerplexityResult[]
  readonly answers: readonly PerplexityResult[]
  readonly needles: readonly NeedleResult[]
}

export function report({ prose, answers, needles }: EvaluationResult): string {
  const parts = [
    perplexityTable('Prose beyond the window', prose),
    epochTable(prose),
    tokenTable(prose),
    perplexityTable('Answers of long conversations', answers),
    needleTable(needles),
  ]
  return parts.filter(part => part !== '').join('\n')
}

function perplexityTable(title: string, results: readonly PerplexityResult[]): string {
  if (results.length === 0) return ''
  const rows = results.flatMap(({ subject, window, withoutPlaceholders, ...all }) => [
    ...methodRows(subject, `${window}`, all),
    ...(withoutPlaceholders === null ? [] : methodRows(`without its \`${PLACEHOLDER}\``, '', withoutPlaceholders)),
  ])
  return table(title, ['text', 'window', 'tokens', 'way at the edge', 'perplexity', 'nats a token more than the first, 95 %'], rows)
}

function methodRows(subject: string, window: string, { tokens, methods }: TokensResult): string[] {
  return methods.map(({ method, perplexity, difference }, i) =>
    row([...(i === 0 ? [subject, window, `${tokens}`] : ['', '', '']), method, perplexity.toFixed(2), interval(difference)]),
  )
}

function epochTable(results: readonly PerplexityResult[]): string {
  if (results.length === 0) return ''
  const rows = results.flatMap(({ subject, window, epochs }) =>
    epochs.map(({ epoch, tokens, mean }, i) => row([...(i === 0 ? [subject, `${window}`] : ['', '']), `${epoch}`, `${tokens}`, signed(mean)])),
  )
  return table('Truncated KV, by epoch', ['text', 'window', 'epoch', 'tokens', 'nats a token more'], rows)
}

function tokenTable(results: readonly PerplexityResult[]): string {
  if (results.length === 0) return ''
  const rows = results.flatMap(({ subject, window, costliest }) =>
    costliest.map(({ text, times, share }, i) => row([...(i === 0 ? [subject, `${window}`] : ['', '']), quoted(text), `${times}`, signed(share)])),
  )
  return table('Truncated KV, the tokens that add most to the difference', ['text', 'window', 'token', 'times', 'part of the nats a token more'], rows)
}

/** In a cell of a table, with what is no printable character escaped. */
function quoted(text: string): string {
  return `\`${JSON.stringify(text).replaceAll('|', '\\|').replaceAll('`', "'")}\``
}

function interval(difference: Estimate | null): string {
  if (difference === null) return ''
  return `${signed(difference.mean)} (${signed(difference.low)} … ${signed(difference.high)})`
}

function needleTable(results: readonly NeedleResult[]): string {
  if (results.length === 0) return ''
  const rows = results.map(({ window, situation, found, asked }) => row([`${window}`, situation, `${found} of ${asked}`, `${((100 * found) / Math.max(1, asked)).toFixed(0)} %`]))
  return table('Numbers found that the view holds', ['window', 'when', 'found', 'share'], rows)
}

function table(title: string, heads: readonly string[], rows: readonly string[]): string {
  return `### ${title}\n\n${row(heads)}\n${row(heads.map(() => '---'))}\n${rows.join('\n')}\n`
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(4)}`
}
