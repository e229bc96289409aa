// The only way error text leaves the server: one function makes every error body, one table every status.

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
  tier_disabled: 409,
  in_use: 409,
  body_too_large: 413,
  misdirected: 421,
  queue_full: 429,
  too_many_attempts: 429,
  engine_error: 500,
  engine_stopped: 503,
  draining: 503,
}

/** Seconds after which a client may try again, where the error itself does not say. */
const RETRY_AFTER_S: Partial<Record<ApiErrorCode, number>> = { queue_full: 1, draining: 10 }

/** The engine's code for messages that the model's template refuses, for instance two user messages in a row. */
const TEMPLATE_CODE = 'template'

export function statusOf(error: ApiError): number {
  return STATUSES[error.code]
}

export function errorHeaders(error: ApiError): Readonly<Record<string, string>> {
  if (error.code === 'invalid_api_key') return { 'www-authenticate': 'Bearer realm="attentionstore"' }
  const seconds = error.context['retry_after'] ?? RETRY_AFTER_S[error.code]
  return seconds === undefined ? {} : { 'retry-after': String(seconds) }
}

/** `error` in a surface's shape. */
export function errorBody(error: ApiError, { errors }: Pick<Surface, 'errors'>): unknown {
  return errors.body(error, statusOf(error))
}

/** Any thrown thing as what a client may see of it: nothing of an unexpected error but that it happened. */
export function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown
  if (isBodyError(thrown)) return bodyError(thrown)
  // Of express, for a part of the path.
  if (thrown instanceof URIError) return new ApiError('invalid_value', 'The path has a broken percent encoding.')
  if (thrown instanceof EngineError && thrown.code === TEMPLATE_CODE) {
    return new ApiError('invalid_value', `messages: ${thrown.message}`, 'messages', thrown.context)
  }
  const code = thrown instanceof AttentionStoreError ? ` (${thrown.code})` : ''
  return new ApiError('engine_error', `The server failed to answer${code}. Its log has the reason.`, null, {}, { cause: thrown })
}

interface BodyError extends Error {
  readonly status: number
  readonly type: string
}

/** What express's body parser throws. */
function isBodyError(thrown: unknown): thrown is BodyError {
  return thrown instanceof Error && 'type' in thrown && 'status' in thrown && typeof thrown.status === 'number' && thrown.status < 500
}

function bodyError(error: BodyError): ApiError {
  if (error.type === 'entity.too.large') {
    return new ApiError('body_too_large', 'The request body is larger than --max-body-bytes allows.')
  }
  const sentences: Readonly<Record<string, string>> = {
    'entity.parse.failed': 'The request body is not JSON.',
    'request.aborted': 'The request body ended early.',
    'encoding.unsupported': 'The content encoding of the request body is not supported.',
    'charset.unsupported': 'The charset of the request body is not supported. Use UTF-8.',
  }
  return new ApiError('invalid_value', sentences[error.type] ?? 'The request body could not be read.')
}
