// The route table.

import * as admin from '../protocol/schemas/admin.js'
import { ChatChunk, ChatRequest, ChatResponse } from '../protocol/schemas/chat.js'
import { CompletionChunk, CompletionRequest, CompletionResponse } from '../protocol/schemas/completions.js'
import { ModelList } from '../protocol/schemas/models.js'
import * as tokens from '../protocol/schemas/tokenize.js'
import { cacheStatus, demoteCache, resetCache } from './handlers/cache.js'
import { chatCompletions } from './handlers/chat-completions.js'
import { completions } from './handlers/completions.js'
import { health, ready } from './handlers/health.js'
import { metrics } from './handlers/metrics.js'
import { models } from './handlers/models.js'
import { openapi } from './handlers/openapi.js'
import { detokenize, tokenize } from './handlers/tokenize.js'
import type { Route } from './route.js'

export const ROUTES: readonly Route[] = [
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
  { method: 'get', path: '/health', handler: health, summary: 'The process is alive', response: admin.HealthResponse },
  { method: 'get', path: '/ready', handler: ready, summary: 'New requests are taken', response: admin.ReadyResponse },
  { method: 'get', path: '/metrics', handler: metrics, summary: 'Prometheus metrics' },
  { method: 'get', path: '/openapi.json', handler: openapi, summary: 'This description' },
  {
    method: 'get',
    path: '/admin/cache',
    handler: cacheStatus,
    summary: 'The tiers and what is in them',
    response: admin.CacheStatusBody,
  },
  {
    method: 'post',
    path: '/admin/cache/demote',
    handler: demoteCache,
    summary: 'Remove copies above a tier',
    request: admin.DemoteRequest,
    response: admin.DemoteResponse,
  },
  {
    method: 'post',
    path: '/admin/cache/reset',
    handler: resetCache,
    summary: 'Remove every block that is not in use',
    response: admin.ResetResponse,
  },
]
