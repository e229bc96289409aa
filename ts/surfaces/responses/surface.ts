// OpenAI's Responses API.

import type { Surface } from '../surface.js'
import { errors } from './errors.js'
import { events } from './events.js'
import { createResponse } from './handlers/create.js'
import { countInputTokens } from './handlers/input-tokens.js'
import { deleteResponse, getResponse, listInputItems } from './handlers/kept.js'
import { ItemsQuery, ResponseParams, ResponseRequest } from './schemas/request.js'
import { DeletedResponse, InputTokens, ItemList, ResponseBody, ResponseEvent } from './schemas/response.js'

export const responses: Surface = {
  errors,
  events,
  routes: [
    {
      method: 'post',
      path: '/v1/responses',
      handler: createResponse,
      summary: 'Answer a conversation of items',
      request: ResponseRequest,
      response: ResponseBody,
      chunk: ResponseEvent,
    },
    {
      method: 'post',
      path: '/v1/responses/input_tokens',
      handler: countInputTokens,
      summary: 'Count the tokens of a prompt of items',
      request: ResponseRequest,
      response: InputTokens,
    },
    {
      method: 'get',
      path: '/v1/responses/:id',
      handler: getResponse,
      summary: 'A response that was kept',
      params: ResponseParams,
      response: ResponseBody,
    },
    {
      method: 'delete',
      path: '/v1/responses/:id',
      handler: deleteResponse,
      summary: 'Forget a response',
      params: ResponseParams,
      response: DeletedResponse,
    },
    {
      method: 'get',
      path: '/v1/responses/:id/input_items',
      handler: listInputItems,
      summary: 'The input items of a response',
      params: ResponseParams,
      query: ItemsQuery,
      response: ItemList,
    },
  ],
}
