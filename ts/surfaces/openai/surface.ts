// OpenAI's API, with the routes that vLLM adds to it.

import type { Surface } from '../surface.js'
import { errors } from './errors.js'
import { events } from './events.js'
import { chatCompletions } from './handlers/chat-completions.js'
import { completions } from './handlers/completions.js'
import { model, models } from './handlers/models.js'
import { detokenize, tokenize } from './handlers/tokenize.js'
import { ChatChunk, ChatRequest, ChatResponse } from './schemas/chat.js'
import { CompletionChunk, CompletionRequest, CompletionResponse } from './schemas/completions.js'
import { Model, ModelList, ModelParams } from './schemas/models.js'
import * as tokens from './schemas/tokenize.js'

export const openai: Surface = {
  errors,
  events,
  routes: [
    {
      method: 'post',
      path: '/v1/chat/completions',
      handler: chatCompletions,
      summary: 'Answer a conversation',
      request: ChatRequest,
      response: ChatResponse,
      chunk: ChatChunk,
    },
    {
      method: 'post',
      path: '/v1/completions',
      handler: completions,
      summary: 'Continue prompts',
      request: CompletionRequest,
      response: CompletionResponse,
      chunk: CompletionChunk,
    },
    { method: 'get', path: '/v1/models', handler: models, summary: 'The model under its names', response: ModelList },
    { method: 'get', path: '/v1/models/*id', handler: model, summary: 'A model by its name', params: ModelParams, response: Model },
    {
      method: 'post',
      path: '/tokenize',
      handler: tokenize,
      summary: 'Tokens of a text or of messages',
      request: tokens.TokenizeRequest,
      response: tokens.TokenizeResponse,
    },
    {
      method: 'post',
      path: '/detokenize',
      handler: detokenize,
      summary: 'Text of tokens',
      request: tokens.DetokenizeRequest,
      response: tokens.DetokenizeResponse,
    },
  ],
}
