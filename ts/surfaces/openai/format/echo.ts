// A prompt that is repeated before its answer.

import type { EngineText } from '../../../engine/types.js'
import type { ScoredPrompt, TurnRequest, TurnUsage } from '../../../service/types.js'
import type { DoneEvent } from '../../turns.js'
import type { CompletionRow, CompletionTokens } from './logprobs.js'

export interface Echo {
  /** The prompt as its client sent it; of tokens, what they stand for. */
  readonly text: string
  /** The answer was not asked for: its token is not told. */
  readonly isAlone: boolean
}

export async function echoed(prompt: TurnRequest['prompt'], maxTokens: number, text: Pick<EngineText, 'decode'>): Promise<Echo> {
  const isAlone = maxTokens === 0
  if (prompt.kind === 'text') return { text: prompt.text, isAlone }
  return { text: prompt.kind === 'tokens' ? await text.decode(prompt.tokens) : '', isAlone }
}

/** The rows of a prompt, where its tokens have log probabilities. */
export function echoedRows({ text }: Echo, scored: ScoredPrompt | undefined, top: number, tokens: CompletionTokens): CompletionRow | null {
  return scored ? tokens.prompt(text, scored, top) : null
}

export function joinRows(a: CompletionRow | null, b: CompletionRow): CompletionRow {
  if (a === null) return b
  return {
    tokens: [...a.tokens, ...b.tokens],
    token_logprobs: [...a.token_logprobs, ...b.token_logprobs],
    top_logprobs: [...(a.top_logprobs ?? []), ...(b.top_logprobs ?? [])],
    text_offset: [...a.text_offset, ...b.text_offset],
  }
}

/** The end of a prompt that stands alone: it has reached its limit, and no answer was given. */
export function endOf(done: DoneEvent, echo: Echo | undefined): DoneEvent {
  if (!echo?.isAlone) return done
  const usage: TurnUsage = { ...done.usage, completionTokens: 0, reasoningTokens: 0 }
  return { ...done, finish: 'length', stopReason: null, usage }
}
