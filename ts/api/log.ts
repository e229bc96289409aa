// What the API writes to the log. A path, a query, a body or a header may be a user's text, so none of them is logged:
// only the route of the table, a status, an id and times.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import { pinoHttp, type HttpLogger } from 'pino-http'
import { AttentionStoreError, type ApiError } from '../protocol/errors.js'
import type { InferenceService } from '../service/types.js'
import { REQUEST_ID_KEY } from '../telemetry/logger.js'
import type { RoutesAt } from './paths.js'

/** One line a request. */
export function requestLog(log: Logger, routesAt: RoutesAt): HttpLogger {
  const routeOf = (url: string | undefined): string => routesAt(url?.split('?')[0] ?? '')[0]?.path ?? 'other'
  return pinoHttp({
    logger: log,
    wrapSerializers: false,
    quietReqLogger: true,
    quietResLogger: true,
    customAttributeKeys: { reqId: REQUEST_ID_KEY },
    genReqId: (request) => request.id,
    // Why a request failed is said by logFailure, once.
    customLogLevel: () => 'debug',
    customProps: (request: IncomingMessage & { originalUrl?: string }) => ({
      method: request.method,
      route: routeOf(request.originalUrl ?? request.url),
    }),
    serializers: {
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
    log.debug({ [REQUEST_ID_KEY]: requestId, code: error.code }, 'request refused')
    return
  }
  if (error === failure) {
    log.debug({ [REQUEST_ID_KEY]: requestId, code: error.code }, 'request ended with the engine')
    return
  }
  log.error({ [REQUEST_ID_KEY]: requestId, failure: describeError(error) }, 'request failed')
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

/** Logs the error that no code of ours has caught, with which the process ends. */
export function logCrash(log: Logger, thrown: unknown): void {
  log.fatal({ failure: describeError(thrown) }, 'the server ends by an error that it did not expect')
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
