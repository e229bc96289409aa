// A branch as the API takes it.

import type { ChatMessage } from 'attentionstore/protocol'
import type { Answer, Entry } from './chat.js'

/** Nothing came: there is nothing for the model to read again. */
const isEmpty = (entry: Entry) =>
  entry.role === 'assistant' && entry.text === '' && entry.reasoning === '' && (entry.calls.length === 0 || entry.state !== 'ended')

/**
 * The messages that ask for the next answer: the whole branch, without answers that have not begun.
 * @param system The system prompt; blank: none.
 */
export function messagesOf(path: readonly Entry[], system: string): ChatMessage[] {
  const messages = path.filter((entry) => !isEmpty(entry)).map(messageOf)
  return system.trim() === '' ? messages : [{ role: 'system', content: system.trim() }, ...messages]
}

function messageOf(entry: Entry): ChatMessage {
  if (entry.role === 'user') return { role: 'user', content: entry.text }
  if (entry.role === 'tool') return { role: 'tool', content: entry.text, tool_call_id: entry.callId }
  return answerMessage(entry)
}

function answerMessage({ text, reasoning, calls, state }: Answer): ChatMessage {
  // Arguments of a call that broke off are no JSON: the server would refuse them.
  const whole = state === 'ended' ? calls : []
  return {
    role: 'assistant',
    content: text,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(whole.length === 0
      ? {}
      : { tool_calls: whole.map(({ id, name, arguments: given }) => ({ id, type: 'function' as const, function: { name, arguments: given } })) }),
  }
}
