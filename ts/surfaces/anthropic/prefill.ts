// A last message of the assistant is the beginning of the answer, as Anthropic's API has it, with the same refusals.

import { ApiError } from '../../protocol/errors.js'
import { continued, type EndedMessages } from '../continued.js'
import { turnMessages } from './messages.js'
import type { Message } from './schemas/blocks.js'
import type { CountTokensRequest } from './schemas/messages.js'

/** @throws ApiError `invalid_value` naming the part of the request that keeps its last message from being continued. */
export function endedMessages(fields: CountTokensRequest): EndedMessages {
  const messages = turnMessages(fields)
  const last = fields.messages.at(-1)
  if (last?.role !== 'assistant') return { messages }
  checkContent(last, `messages.${fields.messages.length - 1}.content`)
  if (fields.thinking && fields.thinking.type !== 'disabled') {
    throw invalid('thinking', 'With thinking an answer is not begun by the client: the last message is the assistant\'s.')
  }
  const format = fields.output_config?.format ? 'output_config.format' : fields.output_format ? 'output_format' : null
  if (format !== null) throw invalid(format, 'With a format an answer is not begun by the client: the last message is the assistant\'s.')
  return continued(messages)
}

function checkContent({ content }: Message, path: string): void {
  const last = typeof content === 'string' ? { type: 'text', text: content } : content.at(-1)
  if (last?.type === 'thinking' || last?.type === 'redacted_thinking') throw invalid(path, 'The final block of the last message cannot be thinking.')
  const blocks: readonly { readonly type: string }[] = typeof content === 'string' ? [] : content
  if (blocks.some(({ type }) => type === 'tool_use')) throw invalid(path, 'The last message has tool_use blocks, and no results of them follow.')
  if (last && 'text' in last && /\s$/.test(last.text)) throw invalid(path, 'Final assistant content cannot end with trailing whitespace.')
}

function invalid(param: string, sentence: string): ApiError {
  return new ApiError('invalid_value', `${param}: ${sentence}`, param)
}
