// Why answers end, in OpenAI's words.

import type { FinishReason } from '../../../engine/types.js'

/** Every reason that OpenAI has no word for is a stop: the answer ended before its limit. */
export function finishReason(reason: FinishReason): 'stop' | 'length' {
  return reason === 'length' ? 'length' : 'stop'
}

/** How the calls of an answer are told; null: it has none. */
export type CallForm = 'tool_calls' | 'function_call' | null

/** An answer with calls that is not cut short ended for them, whatever token came last. */
export function chatFinishReason(reason: FinishReason, calls: CallForm): 'stop' | 'length' | 'tool_calls' | 'function_call' {
  return reason === 'length' || calls === null ? finishReason(reason) : calls
}
