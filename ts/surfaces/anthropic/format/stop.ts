// Why answers end, in Anthropic's words.

import type { DoneEvent } from '../../turns.js'
import type { MessageResponse } from '../schemas/message.js'

type Stop = { readonly stop_reason: NonNullable<MessageResponse['stop_reason']>; readonly stop_sequence: string | null }

/** Every reason that Anthropic has no word for is the end of a turn: the answer ended before its limit. */
export function stopOf({ finish, stopReason }: DoneEvent, hasCalls: boolean): Stop {
  if (finish === 'length') return { stop_reason: 'max_tokens', stop_sequence: null }
  if (typeof stopReason === 'string') return { stop_reason: 'stop_sequence', stop_sequence: stopReason }
  return { stop_reason: hasCalls ? 'tool_use' : 'end_turn', stop_sequence: null }
}
