import { ApiError } from '../../protocol/errors.js'
import { json } from '../../surfaces/surface.js'
import type { ApiContext, ApiRequest, Handler } from '../route.js'

/** GET /health: the process is alive, and so is its engine. */
export const health: Handler = (request, context) => {
  checkEngine(request, context)
  return json({ status: 'ok' })
}

/** GET /ready: new requests are taken. Beside it, the places that the server cannot write to as it should, by state. */
export const ready: Handler = (request, context) => {
  checkEngine(request, context)
  if (context.service.ready) return json({ status: 'ready', disks: Object.fromEntries(context.telemetry.disks().flatMap(({ place, state }) => (state === 'ok' ? [] : [[place, state]]))) })
  throw new ApiError('draining', 'The server takes no new requests.')
}

/** The process is about to end. A probe hears that it is; the reason is for those who may see the admin routes. */
function checkEngine({ credentials, isKnownHost }: ApiRequest, { service: { failure }, auth }: ApiContext): void {
  if (!failure) return
  const mayKnow = isKnownHost && auth.allows('admin', credentials)
  throw new ApiError('engine_stopped', mayKnow ? failure.message : 'The engine has ended.', null, mayKnow ? failure.context : {})
}
