// The results of a replay, as data and as text.

import type { Outcome } from './replay.js'

interface Percentiles {
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export interface BenchReport {
  readonly seconds: number
  readonly requests: { readonly ok: number; readonly failed: number }
  readonly ttft_ms: Percentiles | null
  readonly itl_ms: Percentiles | null
  readonly total_ms: Percentiles | null
  readonly input_tokens: number
  readonly cached_tokens: number
  readonly output_tokens: number
  readonly requests_per_s: number
  readonly input_tokens_per_s: number
  readonly output_tokens_per_s: number
  /** Message → how many requests it ended. */
  readonly errors: Readonly<Record<string, number>>
}

type Answered = Extract<Outcome, { ok: true }>

export function reportOf(outcomes: readonly Outcome[], seconds: number): BenchReport {
  const answered = outcomes.filter((outcome): outcome is Answered => outcome.ok)
  const sum = (of: (outcome: Answered) => number) => answered.reduce((total, outcome) => total + of(outcome), 0)
  const input = sum(({ inputTokens }) => inputTokens)
  const output = sum(({ outputTokens }) => outputTokens)
  return {
    seconds,
    requests: { ok: answered.length, failed: outcomes.length - answered.length },
    ttft_ms: percentiles(answered.map(({ ttftMs }) => ttftMs)),
    itl_ms: percentiles(answered.flatMap(({ gapsMs }) => gapsMs)),
    total_ms: percentiles(answered.map(({ totalMs }) => totalMs)),
    input_tokens: input,
    cached_tokens: sum(({ cachedTokens }) => cachedTokens),
    output_tokens: output,
    requests_per_s: answered.length / seconds,
    input_tokens_per_s: input / seconds,
    output_tokens_per_s: output / seconds,
    errors: errorCounts(outcomes),
  }
}

/** Nearest rank. null: no values. */
export function percentiles(values: readonly number[]): Percentiles | null {
  if (values.length === 0) return null
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  const mean = values.reduce((total, value) => total + value, 0) / values.length
  return { mean, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
}

function errorCounts(outcomes: readonly Outcome[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const outcome of outcomes) {
    if (!outcome.ok) counts.set(outcome.message, (counts.get(outcome.message) ?? 0) + 1)
  }
  return Object.fromEntries(counts)
}

export function formatReport(report: BenchReport): string {
  const share = report.input_tokens === 0 ? 0 : (100 * report.cached_tokens) / report.input_tokens
  const lines = [
    `requests        ${report.requests.ok} answered, ${report.requests.failed} failed, in ${report.seconds.toFixed(1)} s`,
    `first token     ${times(report.ttft_ms)}`,
    `between tokens  ${times(report.itl_ms)}`,
    `whole answer    ${times(report.total_ms)}`,
    `throughput      ${report.requests_per_s.toFixed(2)} requests/s, ${report.input_tokens_per_s.toFixed(0)} input and ${report.output_tokens_per_s.toFixed(0)} output tokens/s`,
    `input tokens    ${report.input_tokens}, of them ${report.cached_tokens} cached (${share.toFixed(1)} %)`,
    `output tokens   ${report.output_tokens}`,
    ...Object.entries(report.errors).map(([message, count]) => `failed          ${count} × ${message}`),
  ]
  return `${lines.join('\n')}\n`
}

function times(values: Percentiles | null): string {
  if (values === null) return 'none'
  const shown = Object.entries(values).map(([name, ms]) => `${name} ${ms.toFixed(1)}`)
  return `${shown.join('  ')} ms`
}
