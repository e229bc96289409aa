// Errors in Anthropic's shape.

import type { ApiErrorCode } from '../../protocol/errors.js'
import type { ErrorShape } from '../surface.js'
import { AnthropicError } from './schemas/error.js'

type ErrorType = AnthropicError['error']['type']

const TYPES: Readonly<Record<number, ErrorType>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  503: 'overloaded_error',
}

/** Clients compact a conversation when they read these words, and not by a code. */
const TOO_LONG: Partial<Record<ApiErrorCode, string>> = { context_length_exceeded: 'prompt is too long: ' }

export const errors: ErrorShape = {
  schema: AnthropicError,
  body({ message, code }, status): AnthropicError {
    return { type: 'error', error: { type: TYPES[status] ?? 'invalid_request_error', message: (TOO_LONG[code] ?? '') + message } }
  },
}
