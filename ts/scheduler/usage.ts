// Usage of one turn, as the client sees it.

import type { Sequence } from './sequence.js'
import type { TurnUsage } from './types.js'

/** prompt = reused + computed + outside view. Preemption adds `recomputedTokens` and changes nothing else. */
export function usageOf(sequence: Sequence, completionTokens: number): TurnUsage {
  const { split, times } = sequence
  const reused = split?.reused ?? { hbm: 0, dram: 0, ssd: 0 }
  return {
    promptTokens: sequence.promptLength,
    completionTokens,
    conversation: sequence.turn.conversation,
    reusedTokens: reused,
    computedTokens: split?.computed ?? 0,
    recomputedTokens: sequence.recomputed,
    outsideViewTokens: split?.outsideView ?? 0,
    queueMs: Math.max(0, times.prepared - times.accepted),
    loadMs: Math.max(0, times.joined - times.prepared),
    prefillMs: Math.max(0, times.firstToken - times.joined),
    ttftMs: Math.max(0, times.firstToken - times.accepted),
  }
}
