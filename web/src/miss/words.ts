// Why tokens were not reused: the reasons in words, in the order in which they are shown.

import type { MissReasons } from 'attentionstore/protocol'

export type MissReason = keyof MissReasons

export interface MissWords {
  readonly reason: MissReason
  readonly name: string
  readonly meaning: string
}

export const MISS_WORDS: readonly MissWords[] = [
  { reason: 'never_seen', name: 'never seen', meaning: 'New text: the question itself, or a first visit. Nothing to gain.' },
  { reason: 'reasoning_dropped', name: 'reasoning left out', meaning: 'An earlier answer came back without its reasoning, so what follows it had to be computed once more.' },
  { reason: 'evicted', name: 'evicted', meaning: 'Was kept once and had to make room. More capacity would have helped.' },
  { reason: 'outside_view', name: 'outside the window', meaning: 'Not needed: lies before the context window.' },
  { reason: 'prompt_scored', name: 'prompt scored', meaning: 'The request asked for log probabilities of its prompt, so all of it was computed.' },
  { reason: 'damaged', name: 'damaged', meaning: 'Did not read back as it was written, so it was computed again.' },
  { reason: 'unknown', name: 'not remembered', meaning: 'Was kept once, too long ago to say why it left.' },
]
