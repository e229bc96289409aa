// Server-sent events of responses: each has its type as its name, and `[DONE]` ends them.

import type { EventFormat } from '../surface.js'
import type { ResponseEvent } from './schemas/response.js'

const END = 'data: [DONE]\n\n'

export const events: EventFormat = {
  // JSON has no line break, so no text of an answer can end its line.
  event: (item) => `event: ${(item as ResponseEvent).type}\ndata: ${JSON.stringify(item)}\n\n`,
  end: END,
  // `response.failed` was the event before, and said it all.
  failure: () => END,
  keepAlive: ': keep-alive\n\n',
}
