// Times of turns as histograms.

import { Histogram, type Registry } from 'prom-client'
import type { Clock } from '../engine/clock.js'
import type { Turn, TurnEvent } from '../service/types.js'
import { RecentTimes } from './recent-times.js'
import { TtftWindow } from './ttft-window.js'

type DoneEvent = Extract<TurnEvent, { type: 'done' }>

const BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const TOKEN_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]

/** Observes the turns that pass through it. */
export class TurnTimes {
  readonly #phases: Record<'queue' | 'load' | 'prefill' | 'time_to_first_token', Histogram>
  readonly #perToken: Histogram
  /** Times to first token since the last sample. */
  readonly recent = new RecentTimes()

  readonly lastMinute = new TtftWindow()
  readonly #clock: Clock

  constructor(registry: Registry, clock: Clock) {
    this.#clock = clock
    const histogram = (name: string, help: string, buckets: number[]) =>
      new Histogram({ name: `attentionstore_${name}_seconds`, help, buckets, registers: [registry] })
    this.#phases = {
      queue: histogram('queue', 'Time a request waited', BUCKETS_S),
      load: histogram('load', 'Time a request loaded its history', BUCKETS_S),
      prefill: histogram('prefill', 'Time a request computed its prompt', BUCKETS_S),
      time_to_first_token: histogram('time_to_first_token', 'Time from arrival to the first token', BUCKETS_S),
    }
    this.#perToken = histogram('time_per_output_token', 'Time a token of an answer after its first', TOKEN_BUCKETS_S)
  }

  /** The same turn, observed. `startedAt`: when it was asked for, on the clock of `performance.now()`. */
  observed(turn: Turn, startedAt: number): Turn {
    const observe = (done: DoneEvent, answerMs: number): void => this.#observe(done, answerMs)
    const { recent } = this
    return {
      conversation: turn.conversation,
      promptTokens: turn.promptTokens,
      get scoredPrompt() {
        return turn.scoredPrompt
      },
      cancel: () => turn.cancel(),
      async *[Symbol.asyncIterator]() {
        let firstAt: number | null = null
        for await (const event of turn) {
          if (firstAt === null) {
            firstAt = performance.now()
            recent.add(firstAt - startedAt)
          }
          if (event.type === 'done') observe(event, performance.now() - firstAt)
          yield event
        }
      },
    }
  }

  #observe({ usage }: DoneEvent, answerMs: number): void {
    this.#phases.queue.observe(usage.queueMs / 1000)
    this.#phases.load.observe(usage.loadMs / 1000)
    this.#phases.prefill.observe(usage.prefillMs / 1000)
    this.#phases.time_to_first_token.observe(usage.ttftMs / 1000)
    this.lastMinute.add(this.#clock.now(), usage.ttftMs, usage.ttftWithoutReuseMs)
    if (usage.completionTokens > 1) this.#perToken.observe(answerMs / 1000 / (usage.completionTokens - 1))
  }
}
