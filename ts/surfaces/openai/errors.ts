// Errors in OpenAI's shape.

import type { ErrorBody } from '../../protocol/index.js'
import type { ErrorShape } from '../surface.js'
import { ErrorBody as schema } from './schemas/error.js'

function typeOf(status: number): ErrorBody['error']['type'] {
  if (status >= 500) return 'server_error'
  return status === 429 ? 'rate_limit_error' : 'invalid_request_error'
}

export const errors: ErrorShape = {
  schema,
  body({ message, param, code }, status): ErrorBody {
    return { error: { message, type: typeOf(status), param, code } }
  },
}
