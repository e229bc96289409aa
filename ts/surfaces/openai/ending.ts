// How the prompt of a chat ends: with the beginning of a new message, with the end of the last one, or inside of it.

import type { z } from 'zod'
import { ApiError } from '../../protocol/errors.js'
import { continued, type EndedMessages } from '../continued.js'
import { turnMessages } from './messages.js'
import type { ChatMessage } from './schemas/messages.js'

type Message = z.output<typeof ChatMessage>

export interface EndingFields {
  readonly messages: readonly Message[]
  readonly add_generation_prompt?: boolean | null | undefined
  readonly continue_final_message?: boolean | null | undefined
}

/**
 * `continue_final_message`, as vLLM has it, `prefix` (Mistral, DeepSeek) and `partial` (Moonshot, Qwen) of the last message
 * say the same.
 * @throws ApiError `invalid_value` naming the field, for a message that no answer can go on with.
 */
export function endedMessages({ messages, add_generation_prompt: begins, continue_final_message: continues }: EndingFields): EndedMessages {
  const mark = markedMessage(messages)
  if (continues && begins !== false) throw invalid('continue_final_message', 'The field needs "add_generation_prompt": false.')
  const all = turnMessages(messages)
  if (!continues && mark === null) return (begins ?? true) ? { messages: all } : { messages: all, ending: 'closed' }
  checkLast(messages, mark ?? 'continue_final_message')
  return continued(all)
}

/** The field of the last message that asks for its continuation. */
function markedMessage(messages: readonly Message[]): string | null {
  const marks = messages.flatMap(({ prefix, partial }, index) => (prefix || partial ? [{ index, field: prefix ? 'prefix' : 'partial' }] : []))
  const [first] = marks
  if (first === undefined) return null
  const param = `messages.${first.index}.${first.field}`
  if (first.index !== messages.length - 1) throw invalid(param, 'Only the last message can be continued.')
  return param
}

function checkLast(messages: readonly Message[], param: string): void {
  const last = messages.at(-1)
  if (last?.role !== 'assistant') throw invalid(param, "The last message is not the assistant's.")
  const called = last.tool_calls?.length ? 'tool_calls' : last.function_call ? 'function_call' : null
  if (called !== null) throw invalid(`messages.${messages.length - 1}.${called}`, 'A message with calls is not continued.')
}

function invalid(param: string, sentence: string): ApiError {
  return new ApiError('invalid_value', `${param}: ${sentence}`, param)
}
