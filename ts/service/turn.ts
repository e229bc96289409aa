// The consumer's end of one request: parts of the answer and one `done`, or one error.

import type { OutputPart, ScoredToken, TokenLogprob } from '../engine/types.js'
import type { AttentionStoreError } from '../protocol/errors.js'
import type { TurnSink } from '../scheduler/sequence/turn-sink.js'
import type { PromptScores } from './prompt-scores.js'
import type { ScoredPrompt, Turn, TurnEvent } from './types.js'

interface Delta {
  readonly type: 'delta'
  text: string
  tokens: number[]
  logprobs: TokenLogprob[]
}

type Pending = Delta | { readonly type: 'reasoning' | 'arguments'; text: string } | { readonly type: 'call'; readonly id: string; readonly name: string }

/**
 * Events come in the order in which the answer was written. Those that are not read yet are merged with neighbours of
 * their kind, so a slow reader costs one buffer, bounded by max_tokens. Leaving the iteration early cancels the turn. Where
 * the request asks about its prompt, no event comes before all of the prompt's scores are there.
 */
export class TurnOutput implements Turn, TurnSink {
  readonly #pending: Pending[] = []
  /** Tokens that came with no content. They go with the next content. */
  #tokens: number[] = []
  #logprobs: TokenLogprob[] = []
  /** Kind of the last part. */
  #kind: OutputPart['kind'] = 'content'
  #calls = 0
  #done: TurnEvent | null = null
  #error: AttentionStoreError | null = null
  #isClosed = false
  #wake: (() => void) | null = null

  /**
   * @param newCallId Makes the id of the answer's next call, of this name.
   * @param scores Of the prompt, where its request asks about its tokens.
   * @param isScorer The scores come with this answer; else with another one to the same request.
   */
  constructor(
    readonly conversation: string,
    readonly onCancel: () => void,
    readonly newCallId: (name: string) => string,
    readonly promptTokens = 0,
    readonly scores: PromptScores | null = null,
    readonly isScorer = true,
  ) {
    scores?.onSettled(() => this.#notify())
  }

  get scoredPrompt(): ScoredPrompt | undefined {
    return this.scores?.isComplete ? this.scores : undefined
  }

  scored(from: number, scores: readonly ScoredToken[]): void {
    this.scores?.add(from, scores)
  }

  /** Calls that the answer has made so far. */
  get calls(): number {
    return this.#calls
  }

  cancel(): void {
    if (this.#isClosed) return
    this.#close()
    this.onCancel()
    this.#notify()
  }

  delta(parts: readonly OutputPart[], token: number | undefined, logprob: TokenLogprob | undefined): void {
    if (this.#isClosed) return
    if (token !== undefined) this.#tokens.push(token)
    if (logprob !== undefined) this.#logprobs.push(logprob)
    for (const part of parts) this.#add(part)
    // A token without text of its own is told at once where the text around it is content.
    if (parts.length === 0 && this.#kind === 'content') this.#content('')
    this.#notify()
  }

  finish(done: TurnEvent): void {
    if (this.#isClosed) return
    if (this.#logprobs.length > 0) this.#content('')
    this.#close()
    this.#done = done
    this.#notify()
  }

  fail(error: AttentionStoreError): void {
    if (this.#isClosed) return
    this.#close()
    this.#error = error
    this.#notify()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<TurnEvent> {
    try {
      for (;;) {
        const event = this.#take()
        if (event) yield event
        if (event?.type === 'done') return
        if (event) continue
        if (this.#error) throw this.#error
        if (this.#isClosed && this.#done === null) return
        await new Promise<void>(resolve => (this.#wake = resolve))
      }
    } finally {
      this.cancel()
    }
  }

  #add(part: OutputPart): void {
    this.#kind = part.kind
    if (part.kind === 'content') this.#content(part.text)
    else if (part.kind === 'call') this.#call(part.name)
    else this.#text(part.kind, part.text)
  }

  /** Takes along the tokens that have come up to it. */
  #content(text: string): void {
    let last = this.#pending.at(-1)
    if (last?.type !== 'delta') this.#pending.push((last = { type: 'delta', text: '', tokens: [], logprobs: [] }))
    last.text += text
    last.tokens.push(...this.#tokens)
    last.logprobs.push(...this.#logprobs)
    this.#tokens = []
    this.#logprobs = []
  }

  #text(type: 'reasoning' | 'arguments', text: string): void {
    const last = this.#pending.at(-1)
    if (last?.type === type) last.text += text
    else this.#pending.push({ type, text })
  }

  #call(name: string): void {
    this.#calls++
    this.#pending.push({ type: 'call', id: this.newCallId(name), name })
  }

  #close(): void {
    this.#isClosed = true
    if (this.isScorer) this.scores?.giveUp()
  }

  #take(): TurnEvent | null {
    if (this.scores?.isPending) return null
    const event = this.#pending.shift()
    if (event) return event
    const done = this.#done
    this.#done = null
    return done
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }
}
