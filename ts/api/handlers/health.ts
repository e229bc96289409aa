import { ApiError } from '../../protocol/errors.js'
import { json } from '../../surfaces/surface.js'
import type { Handler } from '../route.js'

/** GET /health: the process is alive. */
export const health: Handler = () => json({ status: 'ok' })

/** GET /ready: new requests are taken. */
export const ready: Handler = (_, { service }) => {
  if (service.ready) return json({ status: 'ready' })
  throw new ApiError('draining', 'The server takes no new requests.')
}
