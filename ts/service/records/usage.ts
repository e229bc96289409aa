// Usage of one turn, as the client sees it.

import { perTier, sumTiers } from '../../protocol/tiers.js'
import type { Sequence } from '../../scheduler/sequence/sequence.js'
import { NO_MISSES } from '../../scheduler/accounts/misses.js'
import type { TurnUsage } from '../types.js'

/**
 * prompt = reused + computed + outside view, and missed = computed + outside view. Preemption adds `recomputedTokens` and
 * changes nothing else. `promptMs` estimates how long computing so many leading tokens takes.
 */
export function usageOf(sequence: Sequence, completionTokens: number, promptMs: (tokens: number) => number | null): TurnUsage {
  const { times } = sequence
  // Before the first rows are computed, it is only what was meant.
  const split = sequence.serving.settled
  const reused = split?.reused ?? perTier(() => 0)
  const { tokens: missed, stranded } = split?.misses ?? NO_MISSES
  const { neverSeen, reasoningDropped, promptScored, evicted, damaged, unknown } = missed
  const outsideView = split?.outsideView ?? 0
  const loadMs = Math.max(0, times.joined - times.prepared)
  const ttftMs = Math.max(0, times.firstToken - times.accepted)
  return {
    promptTokens: sequence.history.length,
    completionTokens,
    conversation: sequence.turn.conversation,
    reusedTokens: reused,
    computedTokens: split?.computed ?? 0,
    recomputedTokens: sequence.progress.recomputed,
    outsideViewTokens: outsideView,
    missedTokens: { neverSeen, reasoningDropped, promptScored, evicted, damaged, outsideView, unknown },
    strandedBlocks: stranded,
    queueMs: Math.max(0, times.prepared - times.accepted),
    loadMs,
    prefillMs: Math.max(0, times.firstToken - times.joined),
    ttftMs,
    ttftWithoutReuseMs: withoutReuse(ttftMs, loadMs, promptMs(sumTiers(reused))),
  }
}

/** What was reused would have been computed, and nothing loaded; the rest as it was, though the queue would be longer. */
function withoutReuse(ttftMs: number, loadMs: number, reusedMs: number | null): number | null {
  return reusedMs === null ? null : ttftMs - loadMs + reusedMs
}
