// Errors in OpenAI's shape.

import type { ErrorShape } from '../surface.js'
import { ResponseError } from './schemas/error.js'

function typeOf(status: number): ResponseError['error']['type'] {
  if (status >= 500) return 'server_error'
  return status === 429 ? 'rate_limit_error' : 'invalid_request_error'
}

export const errors: ErrorShape = {
  schema: ResponseError,
  body({ message, param, code }, status): ResponseError {
    return { error: { message, type: typeOf(status), param, code } }
  },
}
