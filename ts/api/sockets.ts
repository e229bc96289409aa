// The dashboard's socket: a snapshot at every (re)connect, then what the page subscribed to, latest wins.

import type { IncomingMessage, Server as HttpServer } from 'node:http'
import { Server } from 'socket.io'
import type { AccessControl } from '../auth/access-control.js'
import type { ClientToServerEvents, ServerToClientEvents } from '../protocol/events.js'
import type { Telemetry } from '../telemetry/telemetry.js'
import { toApiError } from './errors.js'
import { checkHost, checkOrigin, type AccessRules } from './guards.js'
import { Subscriptions } from './topics.js'

/** Where socket.io listens by default; every path that begins with it is the sockets'. */
export const SOCKET_PATH = '/socket.io/'
const MAX_SOCKETS = 64
/** Nothing is expected from a client but the protocol's own packets and lists of topics. */
const MAX_MESSAGE_BYTES = 4096

export interface Sockets {
  close(): Promise<void>
}

export interface SocketSources {
  readonly telemetry: Telemetry
  readonly auth: AccessControl
}

/** Sockets need what the admin routes need. */
export function attachSockets(server: HttpServer, { telemetry, auth }: SocketSources, access: AccessRules): Sockets {
  const io = new Server<ClientToServerEvents, ServerToClientEvents>(server, {
    serveClient: false,
    // Upgrades elsewhere are not its to end: ./upgrades.ts.
    destroyUpgrade: false,
    maxHttpBufferSize: MAX_MESSAGE_BYTES,
    allowRequest: (request, allow) => {
      const refusal = io.engine.clientsCount >= MAX_SOCKETS ? 'too many sockets' : refusalOf(request, auth, access)
      allow(refusal, refusal === null)
    },
  })
  io.on('connection', (socket) => {
    const isReady = (): boolean => {
      // Whoever logged out, or whose key was taken away, sees no more.
      if (refusalOf(socket.request, auth, access) !== null) socket.disconnect(true)
      return socket.connected && socket.conn.transport.writable
    }
    const subscriptions = new Subscriptions(telemetry, { socket, isReady })
    socket.on('subscribe', (topics) => subscriptions.replace(topics))
    socket.on('disconnect', () => subscriptions.close())
    socket.emit('snapshot', telemetry.snapshot())
  })
  return { close: () => io.close() }
}

function refusalOf({ headers, url }: IncomingMessage, auth: AccessControl, access: AccessRules): string | null {
  try {
    checkHost(headers, access)
    const isSameOrigin = checkOrigin(headers, url ?? '/', access) === null
    auth.authorize('admin', { headers, isSameOrigin })
    return null
  } catch (thrown) {
    return toApiError(thrown).message
  }
}
