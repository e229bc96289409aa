// The route table: the routes of the surfaces, then the server's own.

import * as admin from '../protocol/schemas/admin.js'
import * as conversations from '../protocol/schemas/conversations.js'
import * as session from '../protocol/schemas/session.js'
import * as requests from '../protocol/schemas/requests.js'
import type { Surface } from '../surfaces/surface.js'
import { cacheStatus, demoteCache, resetCache } from './handlers/cache.js'
import {
  demoteConversation,
  eraseConversation,
  forkConversation,
  listConversations,
  warmConversation,
} from './handlers/conversations.js'
import { listDisks } from './handlers/disks.js'
import { health, ready } from './handlers/health.js'
import { metrics } from './handlers/metrics.js'
import { openapi } from './handlers/openapi.js'
import { listRequests } from './handlers/requests.js'
import { beginSession, endSession, sessionState } from './handlers/session.js'
import type { OwnRoute, Route } from './route.js'
import { OWN_SHAPE, SURFACES } from './surfaces.js'

const OWN_ROUTES: readonly OwnRoute[] = [
  { method: 'get', path: '/health', access: 'open', anyHost: true, handler: health, summary: 'The process and its engine are alive', response: admin.HealthResponse },
  { method: 'get', path: '/ready', access: 'open', anyHost: true, handler: ready, summary: 'New requests are taken', response: admin.ReadyResponse },
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
    path: '/admin/disks',
    access: 'admin',
    handler: listDisks,
    summary: 'The places that the server writes to, and how each fares',
    response: admin.DiskList,
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

export function routesOf(surfaces: readonly Surface[]): readonly Route[] {
  const theirs = surfaces.flatMap((surface) => surface.routes.map((route): Route => ({ ...route, access: 'api', shape: surface })))
  return [...theirs, ...OWN_ROUTES.map((route): Route => ({ ...route, shape: OWN_SHAPE }))]
}

export const ROUTES = routesOf(SURFACES)
