// A connection on which a test writes its own bytes.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface WireReply {
  readonly status: number
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

export class Wire {
  #received = ''
  readonly #socket: Socket
  /** The other side has ended, or the connection broke. */
  readonly closed: Promise<void>

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', (part: string) => (this.#received += part))
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
  }

  static async open(url: string): Promise<Wire> {
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    return new Wire(socket)
  }

  /** Each part is a packet of its own, as far as a loopback connection has them. */
  async send(...parts: readonly string[]): Promise<void> {
    for (const part of parts) {
      await new Promise<void>((resolve) => this.#socket.write(part, 'latin1', () => resolve()))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** The next whole answer. */
  async reply(): Promise<WireReply> {
    for (;;) {
      const found = wholeReply(this.#received)
      if (found) {
        this.#received = this.#received.slice(found.length)
        return found.reply
      }
      if (this.#socket.destroyed || this.#socket.readableEnded) throw new Error(`the connection ended after ${JSON.stringify(this.#received)}`)
      await Promise.race([once(this.#socket, 'data'), this.closed])
    }
  }

  close(): void {
    this.#socket.destroy()
  }
}

function wholeReply(text: string): { reply: WireReply; length: number } | null {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return null
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
  const status = Number(first.split(' ')[1])
  const body = text.slice(end + 4)
  const size = status === 204 || status === 101 ? 0 : Number(headers.get('content-length') ?? 0)
  if (body.length < size) return null
  return { reply: { status, headers, body: body.slice(0, size) }, length: end + 4 + size }
}
