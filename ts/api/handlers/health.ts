import { ApiError } from '../../protocol/errors.js'
import type { InferenceService } from '../../service/types.js'
import { json } from '../../surfaces/surface.js'
import type { Handler } from '../route.js'

/** GET /health: the process is alive, and so is its engine. */
export const health: Handler = (_, { service }) => {
  checkEngine(service)
  return json({ status: 'ok' })
}

/** GET /ready: new requests are taken. */
export const ready: Handler = (_, { service }) => {
  checkEngine(service)
  if (service.ready) return json({ status: 'ready' })
  throw new ApiError('draining', 'The server takes no new requests.')
}

/** The process is about to end; a probe hears why. */
function checkEngine({ failure }: InferenceService): void {
  if (failure) throw new ApiError('engine_stopped', failure.message, null, failure.context)
}
