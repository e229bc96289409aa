// Perplexity beyond the window: of prose, and of the answers of dialogues.

import type { Scorer } from '../engine/native/scorer.js'
import type { EngineText } from '../engine/types.js'
import { epochOf } from '../engine/view.js'
import { OURS, REFERENCE, wayOf, type Method, type Setting } from './methods.js'
import { partsOfPlaceholders } from './placeholders.js'
import { bootstrapMean, mean, type Estimate } from './statistics.js'
import type { Section, Subject } from './subjects.js'
import { byEpoch, costliest, type Difference, type EpochMean, type TokenShare } from './whereabouts.js'

export interface MethodResult {
  readonly method: string
  readonly perplexity: number
  /** Of −ln p, method less reference, token by token; null: it is the reference. */
  readonly difference: Estimate | null
}

/** Of some of the tokens beyond the window. */
export interface TokensResult {
  readonly tokens: number
  readonly methods: readonly MethodResult[]
}

/** Of all tokens beyond the window that count. */
export interface PerplexityResult extends TokensResult {
  readonly subject: string
  readonly window: number
  /** Without the corpus's placeholders for words left out; null: it has none. */
  readonly withoutPlaceholders: TokensResult | null
  /** Of the difference that ours makes. */
  readonly epochs: readonly EpochMean[]
  readonly costliest: readonly TokenShare[]
}

/** The tokens of a section that count, in order. */
interface ScoredSection {
  readonly tokens: readonly number[]
  readonly epochs: readonly number[]
  readonly placeholders: readonly boolean[]
  /** −ln p of each, a method. */
  readonly nll: ReadonlyArray<readonly number[]>
}

export interface Evaluated {
  readonly scorer: Scorer
  readonly text: Pick<EngineText, 'decode' | 'tokenBytes'>
  readonly random: () => number
  /** Hears of the sections done. */
  readonly progress: (done: number) => void
}

/**
 * Only tokens beyond the window count: before it nothing is truncated, and all methods are the same. `methods` has the
 * reference and ours.
 */
export async function perplexity(evaluated: Evaluated, subject: Subject, setting: Setting, methods: readonly Method[]): Promise<PerplexityResult> {
  const { text, random, progress } = evaluated
  const sections: ScoredSection[] = []
  for (const section of subject.sections) {
    sections.push(await scoreSection(evaluated, section, setting, methods))
    progress(sections.length)
  }
  const [reference, ours] = [methods.indexOf(REFERENCE), methods.indexOf(OURS)]
  const ourDifferences = sections.flatMap(section => differences(section, ours, reference))
  const hasPlaceholders = sections.some(({ placeholders }) => placeholders.includes(true))
  return {
    subject: subject.name,
    window: setting.window,
    ...tokensResult(sections, methods, random),
    withoutPlaceholders: hasPlaceholders ? tokensResult(sections.map(withoutPlaceholders), methods, random) : null,
    epochs: byEpoch(ourDifferences),
    costliest: await costliest(ourDifferences, tokens => text.decode(tokens)),
  }
}

function tokensResult(sections: readonly ScoredSection[], methods: readonly Method[], random: () => number): TokensResult {
  const reference = methods.indexOf(REFERENCE)
  return {
    tokens: sections.reduce((sum, { tokens }) => sum + tokens.length, 0),
    methods: methods.map((method, i) => ({
      method: method.name,
      perplexity: Math.exp(mean(sections.flatMap(({ nll }) => nll[i] ?? []))),
      difference: i === reference ? null : bootstrapMean(sections.map(section => differences(section, i, reference).map(({ nats }) => nats)), random),
    })),
  }
}

async function scoreSection({ scorer, text }: Evaluated, { tokens, systemTokens, counts }: Section, setting: Setting, methods: readonly Method[]): Promise<ScoredSection> {
  const first = setting.window + 1
  const ways = methods.map(method => wayOf(method, setting, systemTokens))
  const scores = tokens.length > first ? await scorer.score(tokens, first, ways) : []
  const counted = Array.from(tokens.keys()).filter(index => index >= first && counts(index))
  const placeholders = partsOfPlaceholders(tokens, text)
  const { view } = wayOf(REFERENCE, setting, systemTokens)
  return {
    tokens: counted.map(index => tokens[index] as number),
    // A token is predicted by the one before it, which sees what its epoch shows.
    epochs: counted.map(index => epochOf(view, index - 1)),
    placeholders: counted.map(index => placeholders[index] as boolean),
    nll: scores.map(({ nll }) => counted.map(index => nll[index - first] as number)),
  }
}

function withoutPlaceholders({ tokens, epochs, placeholders, nll }: ScoredSection): ScoredSection {
  const kept = <T>(values: readonly T[]): T[] => values.filter((_, i) => !placeholders[i])
  return { tokens: kept(tokens), epochs: kept(epochs), placeholders: kept(placeholders), nll: nll.map(kept) }
}

function differences({ tokens, epochs, nll }: ScoredSection, method: number, reference: number): Difference[] {
  return tokens.map((token, i) => ({ token, epoch: epochs[i] as number, nats: (nll[method]?.[i] as number) - (nll[reference]?.[i] as number) }))
}

/** The upper bound (95 %) of the cost of our way, in nats a token. */
export function upperBound({ methods }: PerplexityResult): number {
  return methods.find(({ method }) => method === OURS.name)?.difference?.high ?? 0
}
