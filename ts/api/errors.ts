// The only way error text leaves the server: one function makes every error body, one table every status.

import { causeOf } from '../protocol/engine-codes.js'
import { ApiError, AttentionStoreError, EngineError, type ApiErrorCode } from '../protocol/errors.js'
import type { Surface } from '../surfaces/surface.js'

const STATUSES: Readonly<Record<ApiErrorCode, number>> = {
  invalid_value: 400,
  context_length_exceeded: 400,
  unsupported_parameter: 400,
  invalid_api_key: 401,
  forbidden: 403,
  model_not_found: 404,
  not_found: 404,
  previous_response_not_found: 404,
  method_not_allowed: 405,
  tier_disabled: 409,
  in_use: 409,
  body_too_large: 413,
  misdirected: 421,
  queue_full: 429,
  too_many_attempts: 429,
  engine_error: 500,
  engine_stopped: 503,
  draining: 503,
  out_of_memory: 503,
}

/** Seconds after which a client may try again, where the error itself does not say. */
const RETRY_AFTER_S: Partial<Record<ApiErrorCode, number>> = { queue_full: 1, draining: 10, out_of_memory: 10 }

export function statusOf(error: ApiError): number {
  return STATUSES[error.code]
}

export function errorHeaders(error: ApiError): Readonly<Record<string, string>> {
  if (error.code === 'invalid_api_key') return { 'www-authenticate': 'Bearer realm="attentionstore"' }
  if (error.code === 'method_not_allowed') return { allow: String(error.context['allow']) }
  const seconds = error.context['retry_after'] ?? RETRY_AFTER_S[error.code]
  return seconds === undefined ? {} : { 'retry-after': String(seconds) }
}

/** `error` in a surface's shape. Why the server failed may name its files: those are for its log. */
export function errorBody(error: ApiError, { errors }: Pick<Surface, 'errors'>): unknown {
  const status = statusOf(error)
  const shown = status < 500 ? error : new ApiError(error.code, withoutPaths(error), error.param, error.context)
  return errors.body(shown, status)
}

const ABSOLUTE_PATH = /(?<![\w./:])\/(?!\/)[^\s"'()<>,;:]+/g

/** The message, with … in the place of every path. A path of the context may have spaces. */
function withoutPaths({ message, context }: ApiError): string {
  const { path } = context
  const known = typeof path === 'string' && path !== '' ? message.replaceAll(path, '…') : message
  return known.replace(ABSOLUTE_PATH, '…')
}

/** Any thrown thing as what a client may see of it: nothing of an unexpected error but that it happened. */
export function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown
  if (thrown instanceof URIError) return new ApiError('invalid_value', 'The path of the request is not percent-encoded UTF-8.')
  if (isBodyError(thrown)) return bodyError(thrown)
  const cause = thrown instanceof EngineError ? causeOf(thrown.code) : 'engine'
  // For instance two user messages in a row, where the model's template takes none: its own sentence says so.
  if (typeof cause === 'object') {
    return new ApiError('invalid_value', `${cause.field}: ${(thrown as EngineError).message}`, cause.field, {}, { cause: thrown })
  }
  const code = thrown instanceof AttentionStoreError ? ` (${thrown.code})` : ''
  return new ApiError('engine_error', `The server failed to answer${code}. Its log has the reason.`, null, {}, { cause: thrown })
}

interface BodyError extends Error {
  readonly status: number
  /** Absent where the stream that decompresses the body failed. */
  readonly type?: string
}

/** What express's body parser throws. Errors of our own have no status. */
function isBodyError(thrown: unknown): thrown is BodyError {
  return thrown instanceof Error && 'status' in thrown && typeof thrown.status === 'number' && thrown.status >= 400 && thrown.status < 500
}

function bodyError(error: BodyError): ApiError {
  if (error.type === 'entity.too.large') {
    return new ApiError('body_too_large', 'The request body is larger than --max-body-bytes allows.')
  }
  const sentences: Readonly<Record<string, string>> = {
    'entity.parse.failed': 'The request body is not JSON.',
    'request.aborted': 'The request body ended early.',
    'decompression.failed': 'The request body is not compressed as its content-encoding says, or ends early.',
    'encoding.unsupported': 'The content encoding of the request body is not supported. Use gzip, deflate or br.',
    'charset.unsupported': 'The charset of the request body is not supported. Use UTF-8.',
  }
  const { type = 'decompression.failed' } = error
  return new ApiError('invalid_value', sentences[type] ?? 'The request body could not be read.')
}
