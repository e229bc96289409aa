import { z } from 'zod'

export const AnthropicError = z
  .object({
    type: z.literal('error'),
    error: z.object({
      type: z.enum([
        'invalid_request_error',
        'authentication_error',
        'permission_error',
        'not_found_error',
        'request_too_large',
        'rate_limit_error',
        'overloaded_error',
        'api_error',
      ]),
      message: z.string(),
    }),
  })
  .meta({ id: 'AnthropicError' })

export type AnthropicError = z.output<typeof AnthropicError>
