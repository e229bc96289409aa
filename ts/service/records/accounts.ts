// What a request leaves behind when it ends: counters, its record, its line in the request log, what hit rates are learnt
// from.

import type { Core } from '../../scheduler/core/core.js'
import { RequestRecords, type Ending } from './records.js'
import type { RequestLog } from './request-log.js'
import { TIER_NAMES } from '../../protocol/tiers.js'
import type { Sequence } from '../../scheduler/sequence/sequence.js'
import type { TurnUsage } from '../types.js'
import { usageOf } from './usage.js'

export class Accounts {
  readonly records = new RequestRecords()
  readonly #core: Core
  readonly #log: RequestLog | null
  /** Milliseconds of all turns that were answered. */
  #turnMs = 0

  constructor(core: Core, log: RequestLog | null) {
    this.#core = core
    this.#log = log
  }

  /** Mean milliseconds of a turn; a guess before the first. */
  get meanTurnMs(): number {
    const { ok } = this.#core.counters.requests
    return ok === 0 ? 1000 : this.#turnMs / ok
  }

  /** The request waits. */
  queued(sequence: Sequence): void {
    if (this.#core.tiers.keeps) this.#core.curve.queued(sequence.ticket, sequence.keys)
  }

  /** The answer is complete. */
  answered(sequence: Sequence, usage: TurnUsage, finish: Ending['finish']): void {
    const { counters, clock } = this.#core
    counters.requests.ok++
    counters.savedMs += Math.max(0, (usage.ttftWithoutReuseMs ?? 0) - usage.ttftMs)
    this.#turnMs += clock.now() - sequence.times.accepted
    this.#count(sequence)
    this.#record(sequence, usage, { status: 'ok', finish, error: null })
    this.#followUse(sequence)
    this.#log?.add(sequence, usage)
  }

  cancelled(sequence: Sequence): void {
    this.#core.counters.requests.cancelled++
    this.#count(sequence)
    this.#record(sequence, this.usageOf(sequence), { status: 'cancelled', finish: null, error: null })
  }

  /** `code`: of the error that its client was told. */
  failed(sequence: Sequence, code: string): void {
    this.#core.counters.requests.failed++
    this.#record(sequence, this.usageOf(sequence), { status: 'failed', finish: null, error: code })
  }

  usageOf(sequence: Sequence): TurnUsage {
    const { costs, options } = this.#core
    return usageOf(sequence, sequence.generatedLength, tokens => costs.promptMs(tokens, options.maxBatchTokens))
  }

  async close(): Promise<void> {
    await this.#log?.close()
  }

  /** However it ended: it wants nothing any more. */
  #record(sequence: Sequence, usage: TurnUsage, ending: Omit<Ending, 'endedAt'>): void {
    this.#core.curve.left(sequence.ticket)
    this.records.add(sequence, usage, { ...ending, endedAt: this.#core.clock.now() })
  }

  /** For the hit rates of other capacities. */
  #followUse({ keys, history, serving: { split }, progress: { tailKey }, wishes: { retention } }: Sequence): void {
    const { tiers, curve, clock } = this.#core
    if (!split || !tiers.keeps) return
    const hasTail = tailKey !== null
    const chain = hasTail ? [...keys, tailKey] : keys
    curve.served({ promptTokens: history.length, asked: split.asked, chain, hasTail, atMs: clock.now(), retention }, split.reused)
  }

  #count(sequence: Sequence): void {
    const { counters } = this.#core
    const split = sequence.serving.settled
    counters.promptTokens += sequence.history.length
    counters.completionTokens += sequence.generatedLength
    counters.recomputedTokens += sequence.progress.recomputed
    if (!split) return
    counters.computedTokens += split.computed
    for (const tier of TIER_NAMES) counters.reused[tier] += split.reused[tier]
    const { neverSeen, reasoningDropped, promptScored, evicted, damaged, unknown } = split.misses.tokens
    counters.missed.neverSeen += neverSeen
    counters.missed.reasoningDropped += reasoningDropped
    counters.missed.promptScored += promptScored
    counters.missed.evicted += evicted
    counters.missed.damaged += damaged
    counters.missed.unknown += unknown
    counters.missed.outsideView += split.outsideView
  }
}
