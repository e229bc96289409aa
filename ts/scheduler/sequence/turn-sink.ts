// Where a sequence's answer goes while it is computed.

import type { OutputPart, TokenLogprob } from '../../engine/types.js'
import type { AttentionStoreError } from '../../protocol/errors.js'

export interface TurnSink {
  readonly conversation: string
  /** Parts and token of one step; a token without parts is one whose text is not complete yet. */
  delta(parts: readonly OutputPart[], token: number | undefined, logprob: TokenLogprob | undefined): void
  /** There will be no more of it. */
  fail(error: AttentionStoreError): void
}
