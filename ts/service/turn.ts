// The consumer's end of one request: deltas and one `done`, or one error.

import type { TokenLogprob } from '../engine/types.js'
import type { AttentionStoreError } from '../protocol/errors.js'
import type { TurnSink } from '../scheduler/sequence/turn-sink.js'
import type { Turn, TurnEvent } from './types.js'

interface Delta {
  text: string
  tokens: number[]
  logprobs: TokenLogprob[]
}

/**
 * Deltas that nobody has read yet are merged into one, so a slow reader costs one buffer, bounded by max_tokens. Leaving
 * the iteration early cancels the turn.
 */
export class TurnOutput implements Turn, TurnSink {
  #delta: Delta | null = null
  #done: TurnEvent | null = null
  #error: AttentionStoreError | null = null
  #isClosed = false
  #wake: (() => void) | null = null

  constructor(
    readonly conversation: string,
    readonly onCancel: () => void,
    readonly promptTokens = 0,
  ) {}

  cancel(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.onCancel()
    this.#notify()
  }

  delta(text: string, token: number | undefined, logprob: TokenLogprob | undefined): void {
    if (this.#isClosed) return
    this.#delta ??= { text: '', tokens: [], logprobs: [] }
    this.#delta.text += text
    if (token !== undefined) this.#delta.tokens.push(token)
    if (logprob !== undefined) this.#delta.logprobs.push(logprob)
    this.#notify()
  }

  finish(done: TurnEvent): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#done = done
    this.#notify()
  }

  fail(error: AttentionStoreError): void {
    if (this.#isClosed) return
    this.#isClosed = true
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
        if (this.#isClosed) return
        await new Promise<void>(resolve => (this.#wake = resolve))
      }
    } finally {
      this.cancel()
    }
  }

  #take(): TurnEvent | null {
    if (this.#delta) {
      const delta = this.#delta
      this.#delta = null
      return { type: 'delta', ...delta }
    }
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
