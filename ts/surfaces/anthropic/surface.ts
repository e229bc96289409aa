// Anthropic's Messages API.

import type { Surface } from '../surface.js'
import { errors } from './errors.js'
import { events } from './events.js'
import { countTokens } from './handlers/count-tokens.js'
import { messages } from './handlers/messages.js'
import { MessageResponse, StreamEvent } from './schemas/message.js'
import { CountTokensRequest, CountTokensResponse, MessagesRequest } from './schemas/messages.js'

export const anthropic: Surface = {
  errors,
  events,
  headers: (requestId) => ({ 'request-id': requestId }),
  routes: [
    {
      method: 'post',
      path: '/v1/messages',
      handler: messages,
      summary: "Answer a conversation, in Anthropic's format",
      request: MessagesRequest,
      response: MessageResponse,
      chunk: StreamEvent,
    },
    {
      method: 'post',
      path: '/v1/messages/count_tokens',
      handler: countTokens,
      summary: 'Count the tokens of a prompt',
      request: CountTokensRequest,
      response: CountTokensResponse,
    },
  ],
}
