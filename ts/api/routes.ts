// The route table.

import * as admin from '../protocol/schemas/admin.js'
import { ChatChunk, ChatRequest, ChatResponse } from '../protocol/schemas/chat.js'
import * as conversations from '../protocol/schemas/conversations.js'
import { CompletionChunk, CompletionRequest, CompletionResponse } from '../protocol/schemas/completions.js'
import { ModelList } from '../protocol/schemas/models.js'
import * as session from '../protocol/schemas/session.js'
import * as requests from '../protocol/schemas/requests.js'
import * as tokens from '../protocol/schemas/tokenize.js'
import { cacheStatus, demoteCache, resetCache } from './handlers/cache.js'
import { chatCompletions } from './handlers/chat-completions.js'
import { completions } from './handlers/completions.js'
import {
  demoteConversation,
  eraseConversation,
  forkConversation,
  listConversations,
  warmConversation,
} from './handlers/conversations.js'
import { health, ready } from './handlers/health.js'
import { metrics } from './handlers/metrics.js'
import { models } from './handlers/models.js'
import { openapi } from './handlers/openapi.js'
import { listRequests } from './handlers/requests.js'
import { beginSession, endSession, sessionState } from './handlers/session.js'
import { detokenize, tokenize } from './handlers/tokenize.js'
import type { Route } from './route.js'

export const ROUTES: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/chat/completions',
    access: 'api',
    handler: chatCompletions,
    summary: 'Answer a conversation',
    request: ChatRequest,
    response: ChatResponse,
    chunk: ChatChunk,
  },
  {
    method: 'post',
    path: '/v1/completions',
    access: 'api',
    handler: completions,
    summary: 'Continue prompts',
    request: CompletionRequest,
    response: CompletionResponse,
    chunk: CompletionChunk,
  },
  { method: 'get', path: '/v1/models', access: 'api', handler: models, summary: 'The model under its names', response: ModelList },
  {
    method: 'post',
    path: '/tokenize',
    access: 'api',
    handler: tokenize,
    summary: 'Tokens of a text or of messages',
    request: tokens.TokenizeRequest,
    response: tokens.TokenizeResponse,
  },
  {
    method: 'post',
    path: '/detokenize',
    access: 'api',
    handler: detokenize,
    summary: 'Text of tokens',
    request: tokens.DetokenizeRequest,
    response: tokens.DetokenizeResponse,
  },
  { method: 'get', path: '/health', access: 'open', handler: health, summary: 'The process and its engine are alive', response: admin.HealthResponse },
  { method: 'get', path: '/ready', access: 'open', handler: ready, summary: 'New requests are taken', response: admin.ReadyResponse },
  { method: 'get', path: '/metrics', access: 'metrics', handler: metrics, summary: 'Prometheus metrics' },
  { method: 'get', path: '/openapi.json', access: 'open', handler: openapi, summary: 'This description' },
  {
    method: 'get',
    path: '/admin/cache',
    access: 'admin',
    handler: cacheStatus,
    summary: 'The tiers and their contents',
    response: admin.CacheStatusBody,
  },
  {
    method: 'post',
    path: '/admin/cache/demote',
    access: 'admin',
    handler: demoteCache,
    summary: 'Remove copies above a tier',
    request: admin.DemoteRequest,
    response: admin.DemoteResponse,
  },
  {
    method: 'post',
    path: '/admin/cache/reset',
    access: 'admin',
    handler: resetCache,
    summary: 'Remove every block that is not in use',
    response: admin.ResetResponse,
  },
  {
    method: 'get',
    path: '/admin/requests',
    access: 'admin',
    handler: listRequests,
    summary: 'The last requests, with their times and reasons',
    query: requests.RequestQuery,
    response: requests.RequestList,
  },
  {
    method: 'get',
    path: '/admin/session',
    access: 'open',
    handler: sessionState,
    summary: 'The need for a login, and the owner of the session',
    response: session.SessionState,
  },
  {
    method: 'post',
    path: '/admin/session',
    access: 'open',
    handler: beginSession,
    summary: 'Log in with the admin key: sets a cookie',
    request: session.SessionRequest,
    response: session.Session,
  },
  {
    method: 'delete',
    path: '/admin/session',
    access: 'open',
    handler: endSession,
    summary: 'Log out',
    response: session.SessionEnded,
  },
  {
    method: 'get',
    path: '/admin/conversations',
    access: 'admin',
    handler: listConversations,
    summary: 'Conversations, the most recently used first',
    query: conversations.ConversationQuery,
    response: conversations.ConversationPage,
  },
  {
    method: 'post',
    path: '/admin/conversations/:id/warm',
    access: 'admin',
    handler: warmConversation,
    summary: 'Bring its blocks up to dram, and to hbm where hbm has free slots',
    params: conversations.ConversationParams,
    query: conversations.ConversationTarget,
    response: conversations.WarmResponse,
  },
  {
    method: 'post',
    path: '/admin/conversations/:id/demote',
    access: 'admin',
    handler: demoteConversation,
    summary: 'Remove copies above a tier of the blocks that it alone uses',
    params: conversations.ConversationParams,
    query: conversations.ConversationTarget,
    request: admin.DemoteRequest,
    response: conversations.DemoteConversationResponse,
  },
  {
    method: 'post',
    path: '/admin/conversations/:id/fork',
    access: 'admin',
    handler: forkConversation,
    summary: 'A new conversation that continues after its last turn',
    params: conversations.ConversationParams,
    query: conversations.ConversationTarget,
    response: conversations.ForkResponse,
  },
  {
    method: 'delete',
    path: '/admin/conversations/:id',
    access: 'admin',
    handler: eraseConversation,
    summary: 'Forget the conversation, and erase the blocks that it alone uses, in all tiers',
    params: conversations.ConversationParams,
    query: conversations.ConversationTarget,
    response: conversations.EraseReceipt,
  },
]
