// Perplexity beyond the window: of prose, and of the answers of dialogues.

import type { Scorer } from '../engine/native/scorer.js'
import { OURS, REFERENCE, wayOf, type Method } from './methods.js'
import { bootstrapMean, mean, type Estimate } from './statistics.js'
import type { Section, Subject } from './subjects.js'

export interface MethodResult {
  readonly method: string
  readonly perplexity: number
  /** Of −ln p, method less reference, token by token; null: it is the reference. */
  readonly difference: Estimate | null
}

export interface PerplexityResult {
  readonly subject: string
  readonly window: number
  /** Tokens beyond the window that count. */
  readonly tokens: number
  readonly methods: readonly MethodResult[]
}

/** −ln p of the tokens of one section that count, in order. */
type Series = readonly number[]

/**
 * Only tokens beyond the window count: before it nothing is truncated, and all methods are the same. `methods` has the
 * reference. `progress` hears of the sections done.
 */
export async function perplexity(
  scorer: Scorer,
  subject: Subject,
  window: number,
  methods: readonly Method[],
  random: () => number,
  progress: (done: number) => void,
): Promise<PerplexityResult> {
  const scored = methods.map((): Series[] => [])
  for (const [done, section] of subject.sections.entries()) {
    const series = await scoreSection(scorer, section, window, methods)
    for (const [i, one] of series.entries()) scored[i]?.push(one)
    progress(done + 1)
  }
  const reference = scored[methods.indexOf(REFERENCE)] ?? []
  return {
    subject: subject.name,
    window,
    tokens: reference.flat().length,
    methods: methods.map((method, i) => ({
      method: method.name,
      perplexity: Math.exp(mean((scored[i] ?? []).flat())),
      difference: method === REFERENCE ? null : bootstrapMean(differences(scored[i] ?? [], reference), random),
    })),
  }
}

async function scoreSection(scorer: Scorer, { tokens, systemTokens, counts }: Section, window: number, methods: readonly Method[]): Promise<Series[]> {
  const first = window + 1
  if (tokens.length <= first) return methods.map(() => [])
  const scores = await scorer.score(tokens, first, methods.map(method => wayOf(method, window, systemTokens)))
  return scores.map(({ nll }) => Array.from(nll).filter((_, i) => counts(first + i)))
}

function differences(series: readonly Series[], reference: readonly Series[]): number[][] {
  return series.map((one, section) => one.map((value, i) => value - (reference[section]?.[i] as number)))
}

/** What ours costs at most, in nats a token, as far as 95 % are sure. */
export function upperBound({ methods }: PerplexityResult): number {
  return methods.find(({ method }) => method === OURS.name)?.difference?.high ?? 0
}
