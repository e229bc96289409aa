// Server-sent events as OpenAI's clients read them: bodies alone, and `[DONE]` where an answer is whole.

import type { EventFormat } from '../surface.js'

/** JSON has no line break, so no text of an answer can end its line. */
const dataLine = (body: unknown): string => `data: ${JSON.stringify(body)}\n\n`

export const events: EventFormat = {
  event: dataLine,
  end: 'data: [DONE]\n\n',
  // Clients tell a failure by its body, and by the missing `[DONE]`.
  failure: dataLine,
  keepAlive: ': keep-alive\n\n',
}
