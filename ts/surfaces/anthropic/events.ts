// Server-sent events as Anthropic's clients read them: each has its type as its name.

import type { EventFormat } from '../surface.js'
import type { StreamEvent } from './schemas/message.js'

/** JSON has no line break, so no text of an answer can end its line. */
const named = (name: string, body: unknown): string => `event: ${name}\ndata: ${JSON.stringify(body)}\n\n`

export const events: EventFormat = {
  event: (item) => named((item as StreamEvent).type, item),
  // `message_stop` is the end.
  end: '',
  failure: (body) => named('error', body),
  keepAlive: named('ping', { type: 'ping' }),
}
