import { z } from 'zod'

export const ResponseError = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.enum(['invalid_request_error', 'rate_limit_error', 'server_error']),
      param: z.string().nullable(),
      code: z.string(),
    }),
  })
  .meta({ id: 'ResponseError' })

export type ResponseError = z.output<typeof ResponseError>
