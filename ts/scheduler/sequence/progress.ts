// How far a sequence has come: which of its tokens are computed, which are planned, and what its next plan may hold.

import type { BlockKey } from '../../engine/types.js'
import type { Front } from './front.js'

export class Progress {
  #computed = 0
  #planned = 0
  #expectedLength: number
  #highWater = 0
  #recomputed = 0
  #lastStep = -1
  #isTailSettled = false
  #tailKey: BlockKey | null = null
  #front: Front | null = null

  /** `length`: known tokens. */
  constructor(length: number) {
    this.#expectedLength = length
  }

  /** Tokens whose KV is computed, as far as answered steps say. */
  get computed(): number {
    return this.#computed
  }

  /** Tokens whose KV is computed once every submitted plan has run. */
  get planned(): number {
    return this.#planned
  }

  /** Length once every submitted plan has run: known tokens and one more for each plan that samples. */
  get expectedLength(): number {
    return this.#expectedLength
  }

  /** The most that was ever computed: what is computed again below it counts as recomputed. */
  get highWater(): number {
    return this.#highWater
  }

  /** Tokens that were computed again. */
  get recomputed(): number {
    return this.#recomputed
  }

  /** The last step that names it; −1: none yet. */
  get lastStep(): number {
    return this.#lastStep
  }

  /** The rows of its own last block are complete: it ran since it got its slots, or extends a block in place. */
  get isTailSettled(): boolean {
    return this.#isTailSettled
  }

  /** Key of the last, partly filled block, once the engine has said it. */
  get tailKey(): BlockKey | null {
    return this.#tailKey
  }

  /** Set while the front of the history is computed and its back is read. */
  get front(): Front | null {
    return this.#front
  }

  /** It begins with other tokens, of which `length` are known. Nothing is planned yet. */
  begin(length: number): void {
    this.#expectedLength = length
  }

  /**
   * It has its slots: they hold the first `there` of its `length` known tokens, or will when their loads have ended.
   * `front`: of a history whose back is read from there on.
   */
  acquired(there: number, length: number, front: Front | null): void {
    this.#isTailSettled = false
    this.#front = front
    this.#computed = there
    this.#planned = there
    this.#expectedLength = length
  }

  /** Its last block is one that was complete, and that it extends in place. */
  tookOver(): void {
    this.#isTailSettled = true
  }

  /** The tokens before `token` are there, and need no computing. */
  skipTo(token: number): void {
    this.#planned = token
  }

  /** Front and back have met, or the sequence leaves its slots. */
  endFront(): void {
    this.#front = null
  }

  /** The next `count` rows are in the plan of `step`, which samples a token behind them or does not. */
  plan(step: number, count: number, samples: boolean): void {
    this.#front?.claim(this.#planned, this.#planned + count)
    this.#planned += count
    if (samples) this.#expectedLength++
    this.#lastStep = step
  }

  /** Rows from `from` on were not sampled, for what may come was not known in time: they are planned again. */
  planAgain(from: number, length: number): void {
    this.#planned = from
    this.#expectedLength = length
  }

  /** Rows [from, to) are computed. */
  advance(from: number, to: number): void {
    this.#front?.answered(to - from)
    this.#recomputed += Math.max(0, Math.min(to, this.#highWater) - from)
    this.#highWater = Math.max(this.#highWater, to)
    this.#computed = to
    this.#isTailSettled = true
  }

  /** The answer is complete. `computed`: tokens whose KV counts; undefined: all that is computed. */
  finish(computed: number | undefined, tailKey: BlockKey | null): void {
    this.#computed = computed ?? this.#computed
    this.#tailKey = tailKey
  }
}
