// Log probabilities of a prompt's tokens while they come. The answers to one request share them: one of them computes the
// prompt and scores it.

import type { ScoredToken, SequenceSpec } from '../engine/types.js'
import { scoredTop } from './scored-prompts.js'
import type { PromptQuestion, ScoredPrompt } from './types.js'

export class PromptScores implements ScoredPrompt {
  readonly #scores: ScoredToken[] = []
  readonly #listeners: Array<() => void> = []
  #isGivenUp = false
  /** What the engine is asked for, of the one sequence that scores the prompt. */
  readonly wish: Pick<SequenceSpec, 'promptLogprobs'>

  /** @throws ApiError `invalid_value` where the log probabilities are too many. */
  constructor(
    readonly tokens: Uint32Array,
    question: PromptQuestion,
  ) {
    this.wish = { promptLogprobs: scoredTop(question, tokens.length) }
  }

  /** Of every token but the first, as far as they have come. */
  get scores(): readonly ScoredToken[] {
    return this.#scores
  }

  get isComplete(): boolean {
    return this.#scores.length >= this.tokens.length - 1
  }

  /** More will come. */
  get isPending(): boolean {
    return !this.isComplete && !this.#isGivenUp
  }

  /** Scores of the tokens behind token `from`. Those that are known already come again where rows are computed again. */
  add(from: number, scores: readonly ScoredToken[]): void {
    for (const score of scores.slice(Math.max(0, this.#scores.length - from))) this.#scores.push(score)
    if (this.isComplete) this.#tell()
  }

  /** The answer that scores the prompt has ended: nothing more comes. */
  giveUp(): void {
    this.#isGivenUp = true
    this.#tell()
  }

  /** Runs once, when nothing more will come. */
  onSettled(listener: () => void): void {
    if (this.isPending) this.#listeners.push(listener)
    else listener()
  }

  #tell(): void {
    for (const listener of this.#listeners.splice(0)) listener()
  }
}
