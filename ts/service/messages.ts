// Messages and tools as templates render them and as conversations are told apart by: one text for each content.

import { canonicalValue } from '../conversations/canonical.js'
import type { ChatMessageText, ChatText } from '../engine/types.js'
import type { ToolDefinition, TurnMessage, TurnRequest } from './types.js'

export function messageTexts(messages: readonly TurnMessage[]): ChatMessageText[] {
  return messages.map((message) => ({ ...message, content: contentText(message.content) }))
}

function contentText(content: TurnMessage['content']): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('')
}

/**
 * A turn's chat for the template. `messages`: its own, with stored answers.
 * @param defaults template arguments of the server, for those that the turn does not set.
 */
export function chatText(
  { tools, templateArguments, chatTemplate }: Pick<TurnRequest, 'tools' | 'templateArguments' | 'chatTemplate'>,
  messages: readonly ChatMessageText[],
  defaults: Readonly<Record<string, unknown>>,
): ChatText {
  return {
    messages,
    ...(tools ? { tools: tools.definitions } : {}),
    templateArguments: { ...defaults, ...templateArguments },
    ...(chatTemplate === undefined ? {} : { template: chatTemplate }),
  }
}

/** What tools a prompt names, as a text: definitions that say the same give the same text. */
export function toolsText(definitions: readonly ToolDefinition[] | undefined): string {
  if (definitions === undefined) return ''
  return canonicalValue(definitions.map(({ name, description = null, parameters }) => ({ name, description, parameters })))
}
