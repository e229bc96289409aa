// A last message that the answer goes on with.

import type { ChatEnding, TurnMessage } from '../service/types.js'

/** The messages of a prompt, and how it ends. */
export interface EndedMessages {
  readonly messages: readonly TurnMessage[]
  /** @default 'answer' */
  readonly ending?: ChatEnding
}

/** The prompt that ends inside of the last message. One that says nothing is left out: the answer begins it. */
export function continued(messages: readonly TurnMessage[]): EndedMessages {
  const last = messages.at(-1)
  return last && says(last) ? { messages, ending: 'open' } : { messages: messages.slice(0, -1) }
}

function says({ content, reasoning = '' }: TurnMessage): boolean {
  const text = typeof content === 'string' ? content : content.map((part) => part.text).join('')
  return text !== '' || reasoning !== ''
}
