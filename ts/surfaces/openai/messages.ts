// Chat messages as the template sees them: one text each.

import type { z } from 'zod'
import type { TurnMessage } from '../../service/types.js'
import { wellFormed } from '../turn-fields.js'
import type { ChatMessage } from './schemas/chat.js'

type Message = z.output<typeof ChatMessage>

/** `developer` is another name of `system`; the texts of content parts follow each other without a separator. */
export function turnMessages(messages: readonly Message[]): Array<TurnMessage & { readonly content: string }> {
  return messages.map((message) => ({
    role: message.role === 'developer' ? 'system' : message.role,
    content: wellFormed(contentText(message.content)),
    ...(message.name ? { name: wellFormed(message.name) } : {}),
  }))
}

function contentText(content: Message['content']): string {
  if (typeof content === 'string') return content
  return (content ?? []).map(({ text }) => text).join('')
}
