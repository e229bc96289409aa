// Requests that offer another protocol (`Connection: Upgrade`): h2c from the JDK's client, TLS/1.2, a websocket where no
// route has one. The server speaks HTTP/1.1 and declines as RFC 9110, 7.8 says: it answers as if nothing was offered.
//
// While anything listens for `upgrade`, as the socket server does, Node takes the connection out of its HTTP parser. It is
// put back: the request's head is written anew without the offer, and the connection begins again with it.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'

/** Tokens of `Connection` that belong to the offer, and the headers that they name. */
const OFFER: ReadonlySet<string> = new Set(['upgrade', 'http2-settings'])

/**
 * Answers requests over HTTP/1.1 that offer another protocol, but those of paths that begin with `socketPath`.
 * Call it after the socket server has its listeners.
 */
export function declineUpgrades(server: Server, socketPath: string): void {
  const unanswered = new WeakMap<Duplex, ServerResponse>()
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    unanswered.set(socket, response)
    response.once('close', () => unanswered.get(socket) === response && unanswered.delete(socket))
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, rest: Buffer) => {
    if (request.url?.startsWith(socketPath)) return
    const begin = (): void => beginAgain(server, socket, Buffer.concat([headWithoutOffer(request), rest]))
    const earlier = unanswered.get(socket)
    if (!earlier) return begin()
    // Pipelined behind a request that is still being answered. Node has taken its own listeners away.
    const ignore = (): void => {}
    socket.on('error', ignore)
    earlier.once('close', () => {
      socket.off('error', ignore)
      if (!socket.destroyed) begin()
    })
  })
}

function beginAgain(server: Server, socket: Socket, bytes: Buffer): void {
  // The time that an idle connection has left is not the request's.
  socket.setTimeout(0)
  socket.unshift(bytes)
  server.emit('connection', socket)
}

/** The parser has checked these headers: none of them holds a line break. */
function headWithoutOffer({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    const value = rawHeaders[at + 1] ?? ''
    const lower = name.toLowerCase()
    if (OFFER.has(lower)) continue
    const kept = lower === 'connection' ? withoutOffer(value) : value
    if (lower !== 'connection' || kept !== '') lines.push(`${name}: ${kept}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

function withoutOffer(connection: string): string {
  const tokens = connection.split(',').map((token) => token.trim())
  return tokens.filter((token) => !OFFER.has(token.toLowerCase())).join(', ')
}
