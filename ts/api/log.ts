// What the API writes to the log. A path, a query, a body or a header may be a user's text, so none of them is logged:
// only the route of the table, a status, an id and times.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import { pinoHttp, type HttpLogger } from 'pino-http'
import { AttentionStoreError, type ApiError } from '../protocol/errors.js'
import type { InferenceService } from '../service/types.js'
import type { Route } from './route.js'

/** One line a request. */
export function requestLog(log: Logger, routes: readonly Route[]): HttpLogger {
  const patterns = routes.map(({ path }) => [path, new RegExp(`^${path.replace(/:\w+/g, '[^/]+').replace(/\*\w+/g, '.+')}$`)] as const)
  const routeOf = (url: string | undefined): string => {
    const path = url?.split('?')[0] ?? ''
    return patterns.find(([, pattern]) => pattern.test(path))?.[0] ?? 'other'
  }
  return pinoHttp({
    logger: log,
    wrapSerializers: false,
    quietReqLogger: true,
    genReqId: (request) => request.id,
    // Why a request failed is said by logFailure, once.
    customLogLevel: () => 'debug',
    serializers: {
      req: (request: IncomingMessage & { originalUrl?: string }) => ({
        id: request.id,
        method: request.method,
        route: routeOf(request.originalUrl ?? request.url),
      }),
      res: (response: ServerResponse) => ({ status: response.statusCode }),
      err: describeError,
    },
  })
}

/**
 * Logs why a request failed, unless the request itself was wrong, or the engine has ended: that has one line of its own,
 * not one for each request that it ended.
 */
export function logFailure(log: Logger, requestId: string, error: ApiError, { failure }: Pick<InferenceService, 'failure'>): void {
  if (error.code !== 'engine_error') {
    log.debug({ requestId, code: error.code }, 'request refused')
    return
  }
  if (error === failure) {
    log.debug({ requestId, code: error.code }, 'request ended with the engine')
    return
  }
  log.error({ requestId, failure: describeError(error) }, 'request failed')
}

/** Logs that the engine has ended, once, and that the process will. */
export function logEngineEnd(log: Logger, failure: ApiError): void {
  const { engine_code: code, ...context } = failure.context
  const cause = failure.cause === undefined ? {} : { cause: describeError(failure.cause) }
  log.fatal({ code, ...context, ...cause }, failure.message)
}

/** Logs what could not be closed any more after the engine has ended. */
export function logAfterEngineEnd(log: Logger, thrown: unknown): void {
  log.error({ failure: describeError(thrown) }, 'closing after the end of the engine failed in part')
}

/** Messages of our own errors name no user's text; of others only the kind and the place are logged. */
function describeError(thrown: unknown): Record<string, unknown> {
  if (!(thrown instanceof Error)) return { name: typeof thrown }
  const { name } = thrown
  const frames = (thrown.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at '))
  const cause = thrown.cause === undefined ? {} : { cause: describeError(thrown.cause) }
  if (thrown instanceof AttentionStoreError) return { name, code: thrown.code, message: thrown.message, frames, ...cause }
  return { name, frames, ...cause }
}
