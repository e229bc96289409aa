// The only file with express in it: middleware in the order in which a request meets it, then the route table.

import { randomUUID } from 'node:crypto'
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler, type Response } from 'express'
import helmet from 'helmet'
import type { Caller, Credentials } from '../auth/access-control.js'
import { ApiError } from '../protocol/errors.js'
import { CONVERSATION_ID } from '../protocol/schemas/conversations.js'
import type { Reply, Surface } from '../surfaces/surface.js'
import { ClientGone } from '../surfaces/turns.js'
import { errorBody, errorHeaders, statusOf, toApiError } from './errors.js'
import { refuseForeignRoute } from './foreign-routes.js'
import { checkContentType, checkHost, checkOrigin, isKnownHost, type AccessRules } from './guards.js'
import { logFailure, requestLog } from './log.js'
import { methodsOf, routesByPath, type RoutesAt } from './paths.js'
import type { ApiContext, Route } from './route.js'
import { STREAM_HEADERS, writeEventStream, type StreamBounds } from './sse.js'
import { OWN_SHAPE } from './surfaces.js'
import { webPage } from './web-page.js'

export interface AppOptions {
  readonly access: AccessRules
  readonly maxBodyBytes: number
  readonly stream: StreamBounds
  /** Directory of the built web page. */
  readonly webDirectory: string
}

const REQUEST_ID = /^[\w.:-]{1,128}$/
const PREFLIGHT_MAX_AGE_S = '600'

export function createApp(routes: readonly Route[], context: ApiContext, options: AppOptions): Express {
  const app = express()
  app.set('etag', false)
  app.set('query parser', false)
  const routesAt = routesByPath(routes)
  app.use(takeRequestId, requestLog(context.log, routesAt), securityHeaders())
  for (const { path, shape } of routes) app.all(path, takeShape(shape))
  app.use(guardHost(options.access, routesAt))
  // The page holds no data, so a link from anywhere may open it.
  app.use(webPage(options.webDirectory))
  app.use(guardOrigin(options.access, routesAt), guardForeignRoute, guardMethod(routesAt), guardContentType)
  const readBody = express.json({ limit: options.maxBodyBytes, type: 'application/json' })
  for (const route of routes) {
    app[route.method](route.path, authorize(route, context, options), readBody, serve(route, context, options))
  }
  app.use(notFound)
  app.use(answerError(context))
  return app
}

const takeRequestId: RequestHandler = (request, response, next) => {
  const given = request.get('x-request-id') ?? ''
  request.id = REQUEST_ID.test(given) ? given : `req_${randomUUID()}`
  response.set('x-request-id', String(request.id))
  next()
}

/** Before the guards: what they refuse is told in the shape of the path's surface. */
function takeShape(shape: Route['shape']): RequestHandler {
  return (request, response, next) => {
    response.locals['shape'] = shape
    response.set(shape.headers?.(String(request.id)) ?? {})
    next()
  }
}

function shapeOf({ locals }: Response): Route['shape'] {
  return (locals['shape'] as Surface | undefined) ?? OWN_SHAPE
}

function securityHeaders(): RequestHandler {
  const self = ["'self'"]
  const none = ["'none'"]
  const directives = {
    defaultSrc: self,
    scriptSrc: self,
    styleSrc: self,
    imgSrc: ["'self'", 'data:'],
    connectSrc: self,
    objectSrc: none,
    baseUri: none,
    formAction: none,
    frameAncestors: none,
  }
  // Plain HTTP on loopback: there is nothing to be strict about in transport.
  return helmet({ contentSecurityPolicy: { useDefaults: false, directives }, strictTransportSecurity: false })
}

function guardHost(access: AccessRules, routesAt: RoutesAt): RequestHandler {
  return (request, _, next) => {
    if (!routesAt(request.path).some(({ anyHost }) => anyHost)) checkHost(request.headers, access)
    next()
  }
}

function guardOrigin(access: AccessRules, routesAt: RoutesAt): RequestHandler {
  return (request, response, next) => {
    const origin = checkOrigin(request.headers, request.path, access)
    if (origin === null) return next()
    response.set({
      'access-control-allow-origin': origin,
      'access-control-expose-headers': 'x-request-id, request-id, x-conversation-id, x-ignored-fields, retry-after',
      vary: 'Origin',
    })
    if (request.method !== 'OPTIONS') return next()
    response.set({
      'access-control-allow-methods': methodsOf(routesAt(request.path)).join(', '),
      'access-control-allow-headers': request.get('access-control-request-headers') ?? 'content-type',
      'access-control-max-age': PREFLIGHT_MAX_AGE_S,
    })
    // A page of the network asks for this before it may call a server on the user's own machine.
    if (request.get('access-control-request-private-network') === 'true') response.set('access-control-allow-private-network', 'true')
    response.status(204).end()
  }
}

/** Before the content type: a wrong method is the first thing to tell. */
function guardMethod(routesAt: RoutesAt): RequestHandler {
  return (request, response, next) => {
    const routes = routesAt(request.path)
    const methods = methodsOf(routes)
    if (routes.length === 0) return next()
    if (request.method === 'OPTIONS') {
      response.set('allow', methods.join(', ')).status(204).end()
      return
    }
    if (methods.includes(request.method)) return next()
    const allow = methods.join(', ')
    throw new ApiError('method_not_allowed', `The route takes ${allow}.`, null, { allow })
  }
}

/** Before the content type, which is another one where files are sent. */
const guardForeignRoute: RequestHandler = (request, _, next) => {
  refuseForeignRoute(request.path)
  next()
}

const guardContentType: RequestHandler = (request, _, next) => {
  checkContentType(request.method, request.headers)
  next()
}

/** What `authorize` leaves for `serve`. */
interface Admitted {
  readonly caller: Caller
  readonly credentials: Credentials
}

/** Before the body is read: nothing is parsed for a client that may not ask. */
function authorize(route: Route, { auth }: ApiContext, { access }: AppOptions): RequestHandler {
  return (request, response, next) => {
    const isSameOrigin = checkOrigin(request.headers, request.path, access) === null
    const credentials = { headers: request.headers, isSameOrigin }
    const admitted: Admitted = { credentials, caller: auth.authorize(route.access, credentials) }
    Object.assign(response.locals, admitted)
    next()
  }
}

function serve(route: Route, context: ApiContext, options: AppOptions): RequestHandler {
  return async (request, response) => {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const { signal } = gone
    const conversation = conversationHeader(request)
    const { body, id, params } = request
    const { caller, credentials } = response.locals as Admitted
    const asked = { body, params, query: queryOf(request), caller, credentials, address: request.socket.remoteAddress ?? '' }
    const isKnown = isKnownHost(request.headers, options.access)
    const reply = await route.handler({ ...asked, isKnownHost: isKnown, requestId: String(id), conversation, signal }, context)
    await send(reply, request, response, context, options)
  }
}

function queryOf({ url }: Request): Record<string, string> {
  const at = url.indexOf('?')
  return at < 0 ? {} : Object.fromEntries(new URLSearchParams(url.slice(at)))
}

/** Both name the conversation; the first goes before the second. */
const CONVERSATION_HEADERS = ['x-conversation-id', 'x-session-id']

function conversationHeader(request: Request): string | null {
  const name = CONVERSATION_HEADERS.find((header) => request.get(header) !== undefined)
  const given = name === undefined ? undefined : request.get(name)
  if (name === undefined || given === undefined) return null
  if (CONVERSATION_ID.test(given)) return given
  throw new ApiError('invalid_value', `${name}: 1 to 128 of A-Z a-z 0-9 . _ : -`, name)
}

async function send(reply: Reply, request: Request, response: Response, context: ApiContext, options: AppOptions): Promise<void> {
  switch (reply.kind) {
    case 'json':
      response.set(reply.headers ?? {}).json(reply.body)
      return
    case 'text':
      response.set('content-type', reply.contentType).send(reply.text)
      return
    case 'stream': {
      response.set({ ...STREAM_HEADERS, ...reply.headers }).flushHeaders()
      const onError = (error: ApiError): void => logFailure(context.log, String(request.id), error, context.service)
      const end = await writeEventStream(response, reply.events, shapeOf(response), options.stream, onError)
      if (end === 'cut off') context.telemetry.streamCutOff()
    }
  }
}

const notFound: RequestHandler = () => {
  throw new ApiError('not_found', 'The server has no such route. GET /openapi.json lists the routes.')
}

function answerError({ log, service }: ApiContext): ErrorRequestHandler {
  return (thrown: unknown, request, response, _next) => {
    if (response.destroyed || thrown instanceof ClientGone) return
    const error = toApiError(thrown)
    logFailure(log, String(request.id), error, service)
    if (response.headersSent) {
      response.destroy()
      return
    }
    response.status(statusOf(error)).set(errorHeaders(error)).json(errorBody(error, shapeOf(response)))
  }
}
