// Messages as conversations are told apart by, and as templates render them: one text each.

import type { ChatMessageText } from '../engine/types.js'
import type { TurnMessage } from './types.js'

export function messageTexts(messages: readonly TurnMessage[]): ChatMessageText[] {
  return messages.map((message) => ({ ...message, content: contentText(message.content) }))
}

function contentText(content: TurnMessage['content']): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('')
}
