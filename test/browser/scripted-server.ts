// A server that tells the page what a test wants it to: the built page under the real content policy, typed socket events,
// and whatever routes the test answers. For volumes that no real server reaches in a test's time.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { readFile } from 'node:fs/promises'
import { extname, join, normalize } from 'node:path'
import type { AddressInfo } from 'node:net'
import { Server as SocketServer } from 'socket.io'
import type { ClientToServerEvents, ServerToClientEvents, Snapshot, Topic } from '../../ts/protocol/index.js'
import { ROOT } from '../support/paths.js'

const PAGE = join(ROOT, 'ts/web-dist')
const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
/** As ts/api/app.ts sets it. */
const POLICY = "default-src 'self';script-src 'self';style-src 'self';img-src 'self' data:;connect-src 'self';object-src 'none'"

/** JSON for a GET, by path and query; undefined: 404. */
export type Answers = (path: string, query: URLSearchParams) => unknown

export class ScriptedServer {
  readonly url: string
  private readonly topics = new Map<string, readonly Topic[]>()

  private constructor(
    private readonly http: Server,
    readonly io: SocketServer<ClientToServerEvents, ServerToClientEvents>,
    snapshot: () => Snapshot,
  ) {
    this.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    io.on('connection', (socket) => {
      socket.emit('snapshot', snapshot())
      socket.on('subscribe', (topics) => this.topics.set(socket.id, topics))
      socket.on('disconnect', () => this.topics.delete(socket.id))
    })
  }

  static async start(snapshot: () => Snapshot, answers: Answers): Promise<ScriptedServer> {
    const http = createServer((request, response) => void answer(request, response, answers))
    const io = new SocketServer<ClientToServerEvents, ServerToClientEvents>(http, { serveClient: false })
    await new Promise<void>((listening) => http.listen(0, '127.0.0.1', listening))
    return new ScriptedServer(http, io, snapshot)
  }

  /** Whether some page looks at a topic. */
  isWatched(topic: Topic): boolean {
    return [...this.topics.values()].some((topics) => topics.includes(topic))
  }

  async stop(): Promise<void> {
    await this.io.close()
    this.http.closeAllConnections()
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, answers: Answers): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://local')
  const body = answers(pathname, searchParams)
  if (body !== undefined) {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
    return
  }
  const file = join(PAGE, normalize(pathname === '/' ? '/index.html' : pathname))
  const bytes = file.startsWith(PAGE) ? await readFile(file).catch(() => null) : null
  response.setHeader('content-security-policy', POLICY)
  if (bytes === null) response.writeHead(404).end()
  else response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream').end(bytes)
}
