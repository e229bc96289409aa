// Where a sequence's answer goes while it is computed.

import type { OutputPart, ScoredToken, TokenLogprob } from '../../engine/types.js'
import type { AttentionStoreError } from '../../protocol/errors.js'

export interface TurnSink {
  readonly conversation: string
  /** Parts and token of one step; a token without parts is one whose text is not complete yet. */
  delta(parts: readonly OutputPart[], token: number | undefined, logprob: TokenLogprob | undefined): void
  /** Scores of the prompt tokens behind row `from`, in order. Rows that are computed again are told again. */
  scored(from: number, scores: readonly ScoredToken[]): void
  /** There will be no more of it. */
  fail(error: AttentionStoreError): void
}
