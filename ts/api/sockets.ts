// The dashboard's socket: a snapshot at every (re)connect, then samples, latest wins.

import type { IncomingMessage, Server as HttpServer } from 'node:http'
import { Server } from 'socket.io'
import type { ClientToServerEvents, ServerToClientEvents } from '../protocol/events.js'
import type { Telemetry } from '../telemetry/telemetry.js'
import { toApiError } from './errors.js'
import { checkHost, checkOrigin, type AccessRules } from './guards.js'

const MAX_SOCKETS = 64
/** Nothing is expected from a client but the protocol's own packets. */
const MAX_MESSAGE_BYTES = 4096

export interface Sockets {
  close(): Promise<void>
}

export function attachSockets(server: HttpServer, telemetry: Telemetry, access: AccessRules): Sockets {
  const io = new Server<ClientToServerEvents, ServerToClientEvents>(server, {
    serveClient: false,
    maxHttpBufferSize: MAX_MESSAGE_BYTES,
    allowRequest: (request, allow) => {
      const refusal = io.engine.clientsCount >= MAX_SOCKETS ? 'too many sockets' : refusalOf(request, access)
      allow(refusal, refusal === null)
    },
  })
  io.on('connection', (socket) => socket.emit('snapshot', telemetry.snapshot()))
  // Volatile: what a slow socket cannot take now is dropped, the next sample replaces it.
  const unlisten = telemetry.listen((sample) => io.volatile.emit('sample', sample))
  return {
    async close() {
      unlisten()
      await io.close()
    },
  }
}

function refusalOf({ headers, url }: IncomingMessage, access: AccessRules): string | null {
  try {
    checkHost(headers, access)
    checkOrigin(headers, url ?? '/', access)
    return null
  } catch (thrown) {
    return toApiError(thrown).message
  }
}
