// The savings of reuse since midnight, as the machine's time zone has it: counters count from the start, so their state at midnight is
// kept. A server that started later counts from its start, and says so.

import type { Sample, TodaySample } from '../protocol/events.js'

/** The counters that a day is told of. */
export type Counted = Pick<Sample, 'tokens' | 'saved'>

interface Totals {
  readonly promptTokens: number
  readonly reusedTokens: number
  readonly savedMs: number
}

function totalsOf({ tokens, saved }: Counted): Totals {
  return { promptTokens: tokens.prompt, reusedTokens: saved.tokens, savedMs: saved.ms }
}

/** The last midnight of the machine's time zone, milliseconds since the Unix epoch. */
export function midnightBefore(now: number): number {
  return new Date(now).setHours(0, 0, 0, 0)
}

export class Today {
  #since: number
  #before: Totals = { promptTokens: 0, reusedTokens: 0, savedMs: 0 }
  #last: Totals = this.#before

  /** `startedAt`: of the server, milliseconds since the Unix epoch. */
  constructor(startedAt: number) {
    this.#since = startedAt
  }

  /** The sums since midnight, or the start. Of turns that ended around midnight, those since the look before it count. */
  of(now: number, counted: Counted): TodaySample {
    const midnight = midnightBefore(now)
    if (midnight > this.#since) {
      this.#since = midnight
      this.#before = this.#last
    }
    const totals = totalsOf(counted)
    this.#last = totals
    return {
      sinceMs: this.#since,
      promptTokens: totals.promptTokens - this.#before.promptTokens,
      reusedTokens: totals.reusedTokens - this.#before.reusedTokens,
      savedMs: totals.savedMs - this.#before.savedMs,
    }
  }
}
