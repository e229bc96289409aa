// Why answers end, in OpenAI's words.

import type { FinishReason } from '../../../engine/types.js'

/** Every reason that OpenAI has no word for is a stop: the answer ended before its limit. */
export function finishReason(reason: FinishReason): 'stop' | 'length' {
  return reason === 'length' ? 'length' : 'stop'
}
