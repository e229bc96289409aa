// The only way error text leaves the server: one function makes every error body, one table every status.

import { ApiError, AttentionStoreError, EngineError, type ApiErrorCode } from '../protocol/errors.js'
import type { ErrorBody } from '../protocol/index.js'

type ErrorType = ErrorBody['error']['type']

const CLIENT: ErrorType = 'invalid_request_error'

const KINDS: Readonly<Record<ApiErrorCode, readonly [status: number, type: ErrorType]>> = {
  invalid_value: [400, CLIENT],
  context_length_exceeded: [400, CLIENT],
  unsupported_parameter: [400, CLIENT],
  invalid_api_key: [401, CLIENT],
  forbidden: [403, CLIENT],
  model_not_found: [404, CLIENT],
  not_found: [404, CLIENT],
  tier_disabled: [409, CLIENT],
  in_use: [409, CLIENT],
  body_too_large: [413, CLIENT],
  misdirected: [421, CLIENT],
  queue_full: [429, 'rate_limit_error'],
  too_many_attempts: [429, 'rate_limit_error'],
  engine_error: [500, 'server_error'],
  engine_stopped: [503, 'server_error'],
  draining: [503, 'server_error'],
}

/** Seconds after which a client may try again, where the error itself does not say. */
const RETRY_AFTER_S: Partial<Record<ApiErrorCode, number>> = { queue_full: 1, draining: 10 }

/** The engine's code for messages that the model's template refuses, for instance two user messages in a row. */
const TEMPLATE_CODE = 'template'

export function statusOf(error: ApiError): number {
  return KINDS[error.code][0]
}

export function errorHeaders(error: ApiError): Readonly<Record<string, string>> {
  if (error.code === 'invalid_api_key') return { 'www-authenticate': 'Bearer realm="attentionstore"' }
  const seconds = error.context['retry_after'] ?? RETRY_AFTER_S[error.code]
  return seconds === undefined ? {} : { 'retry-after': String(seconds) }
}

export function errorBody(error: ApiError): ErrorBody {
  return { error: { message: error.message, type: KINDS[error.code][1], param: error.param, code: error.code } }
}

/** The request's client has gone: there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone'
}

/** Any thrown thing as what a client may see of it: nothing of an unexpected error but that it happened. */
export function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown
  if (isBodyError(thrown)) return bodyError(thrown)
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
