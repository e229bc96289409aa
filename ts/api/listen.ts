// The HTTP server: routes, page and sockets on one port.

import { createServer, type Server } from 'node:http'
import { createServer as createSocketServer, isIPv6, type AddressInfo, type Server as SocketServer } from 'node:net'
import { ExitError } from '../protocol/errors.js'
import type { Surface } from '../surfaces/surface.js'
import { createApp, type AppOptions } from './app.js'
import { openApiDocument } from './openapi.js'
import type { ApiContext } from './route.js'
import { routesOf } from './routes.js'
import { attachSockets, SOCKET_PATH } from './sockets.js'
import { SURFACES } from './surfaces.js'
import { declineUpgrades } from './upgrades.js'

/** Whole requests must have arrived within this time, or that of an idle connection where it is longer. */
const REQUEST_TIMEOUT_MS = 60_000
/** Between times of a connection of which one must be the longer. */
const MARGIN_MS = 1000
const MAX_CONNECTIONS = 4096
/** Answers that are still being written when the server closes get this long. */
const LAST_WRITES_MS = 1000

export interface ListenOptions extends Omit<AppOptions, 'stream'> {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly stream?: Partial<AppOptions['stream']>
  /** Milliseconds that an idle connection stays open. */
  readonly keepAliveMs: number
  /** @default all that the server has */
  readonly surfaces?: readonly Surface[]
}

export interface HttpApi {
  readonly url: string
  /** May be called twice. */
  close(): Promise<void>
}

const STREAM_BOUNDS = { keepAliveMs: 10_000, maxBufferedBytes: 1024 * 1024 }

/**
 * @throws ExitError with exit code 2 if the address cannot be listened on.
 */
export async function openHttpApi(context: Omit<ApiContext, 'description'>, options: ListenOptions): Promise<HttpApi> {
  const routes = routesOf(options.surfaces ?? SURFACES)
  const description = openApiDocument(routes, context.version)
  const stream = { ...STREAM_BOUNDS, ...options.stream }
  const server = createServer(createApp(routes, { ...context, description }, { ...options, stream }))
  Object.assign(server, connectionTimeouts(options.keepAliveMs), { maxConnections: MAX_CONNECTIONS })
  const sockets = attachSockets(server, context, options.access)
  declineUpgrades(server, SOCKET_PATH)
  await listen(server, options).catch(async (thrown: unknown) => {
    await sockets.close()
    throw thrown
  })
  let closing: Promise<void> | undefined
  return {
    url: urlOf(server.address() as AddressInfo),
    close: () => (closing ??= closeServer(server, sockets.close)),
  }
}

/**
 * The times of a connection. A proxy opens connections in advance, and Node counts the wait for a first request like one
 * for headers: so both other times are longer than that of an idle connection.
 */
export function connectionTimeouts(keepAliveMs: number): Pick<Server, 'keepAliveTimeout' | 'headersTimeout' | 'requestTimeout'> {
  const headersTimeout = Math.max(REQUEST_TIMEOUT_MS, keepAliveMs + MARGIN_MS)
  return { keepAliveTimeout: keepAliveMs, headersTimeout, requestTimeout: headersTimeout + MARGIN_MS }
}

/**
 * Listens for a moment: whether the address can be had is known before the model is loaded.
 * @throws ExitError as `openHttpApi`.
 */
export async function checkAddress(address: Pick<ListenOptions, 'host' | 'port'>): Promise<void> {
  const server = createSocketServer((socket) => socket.destroy())
  await listen(server, address)
  await new Promise((resolve) => server.close(resolve))
}

function listen(server: SocketServer, { host, port }: Pick<ListenOptions, 'host' | 'port'>): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(cause, host, port)))
    server.listen(port, host, resolve)
  })
}

function listenError(cause: NodeJS.ErrnoException, host: string, port: number): ExitError {
  const sentences: Readonly<Record<string, string>> = {
    EADDRINUSE: `--port: ${port} is in use on ${host}; give another port, or 0 for any free one`,
    EACCES: `--port: this user may not listen on ${port}`,
    EADDRNOTAVAIL: `--host: ${host} is not an address of this machine`,
    ENOTFOUND: `--host: no address is known for ${host}`,
  }
  const message = sentences[cause.code ?? ''] ?? `--host: cannot listen on ${host}:${port}: ${cause.code}`
  return new ExitError(2, 'cannot_listen', message, { host, port }, { cause })
}

function urlOf({ address, port }: AddressInfo): string {
  return `http://${isIPv6(address) ? `[${address}]` : address}:${port}`
}

async function closeServer(server: Server, closeSockets: () => Promise<void>): Promise<void> {
  const deadline = setTimeout(() => server.closeAllConnections(), LAST_WRITES_MS)
  const closed = new Promise<void>((resolve) => server.once('close', resolve))
  // Closes the HTTP server too.
  await closeSockets()
  server.closeIdleConnections()
  await closed
  clearTimeout(deadline)
}
