// Perplexity beyond the window: of prose, and of the answers of dialogues.

import type { Scorer } from '../engine/native/scorer.js'
import { OURS, REFERENCE, scoreWith, type Method, type ScoredText } from './methods.js'
import { bootstrapMean, mean, type Estimate } from './statistics.js'

export interface Subject extends ScoredText {
  readonly name: string
  /** Whether the token at this index counts. */
  readonly counts: (index: number) => boolean
}

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

/** Only tokens beyond the window count: before it nothing is truncated, and all methods are the same. */
export async function perplexity(
  scorer: Scorer,
  subject: Subject,
  window: number,
  methods: readonly Method[],
  random: () => number,
): Promise<PerplexityResult> {
  const counted = Array.from(subject.tokens.keys()).filter(index => index > window && subject.counts(index))
  const scored: Array<{ readonly method: Method; readonly nll: readonly number[] }> = []
  for (const method of methods) {
    const { nll } = await scoreWith(method, scorer, subject, window)
    scored.push({ method, nll: counted.map(index => nll[index - 1] as number) })
  }
  const reference = scored.find(({ method }) => method === REFERENCE)?.nll ?? []
  return {
    subject: subject.name,
    window,
    tokens: counted.length,
    methods: scored.map(({ method, nll }) => ({
      method: method.name,
      perplexity: Math.exp(mean(nll)),
      difference: method === REFERENCE ? null : bootstrapMean(nll.map((value, i) => value - (reference[i] as number)), random),
    })),
  }
}

/** What ours costs at most, in nats a token, as far as 95 % are sure. */
export function upperBound({ methods }: PerplexityResult): number {
  return methods.find(({ method }) => method === OURS.name)?.difference?.high ?? 0
}
