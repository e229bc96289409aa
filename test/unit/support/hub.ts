// A Hugging Face Hub on this machine: the routes that a download asks, and what was asked.

import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export const COMMIT = 'c0ffee'.padEnd(40, '0')

export interface Asked {
  readonly path: string
  readonly range: string | undefined
  readonly authorization: string | undefined
}

export class LocalHub {
  readonly asked: Asked[] = []
  /** Of the only repository, `acme/tiny`, by path. Large ones are told with their SHA-256, others with git's hash. */
  files: Record<string, Buffer> = {}
  /** A token that requests must have. */
  token: string | null = null
  /** The first download of a file breaks off after so many bytes. */
  breaksOffAfter: number | null = null
  /** Hashes that are told in the place of the right ones. */
  wrongHash = false
  #url = ''
  readonly #server = createServer((request, response) => this.#answer(request, response))

  get url(): string {
    return this.#url
  }

  static async open(files: Record<string, Buffer>): Promise<LocalHub> {
    const hub = new LocalHub()
    hub.files = files
    await new Promise<void>((resolve) => hub.#server.listen(0, '127.0.0.1', resolve))
    hub.#url = `http://127.0.0.1:${(hub.#server.address() as AddressInfo).port}`
    return hub
  }

  close(): Promise<unknown> {
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(resolve))
  }

  /** The downloads among what was asked, as `path` or `path from byte`. */
  get downloads(): string[] {
    return this.asked.flatMap(({ path, range }) => {
      const file = path.split(`/resolve/${COMMIT}/`)[1]
      return file === undefined ? [] : [range === undefined ? file : `${file} ${range}`]
    })
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent((request.url ?? '').split('?')[0] ?? '')
    const { range, authorization } = request.headers
    this.asked.push({ path, range, authorization })
    if (this.token !== null && authorization !== `Bearer ${this.token}`) return void response.writeHead(401).end()
    if (/^\/api\/models\/acme\/tiny\/revision\/(main|v1)$/.test(path)) return json(response, { _id: '1', id: 'acme/tiny', sha: COMMIT })
    if (path === `/api/models/acme/tiny/tree/${COMMIT}`) return json(response, this.#tree())
    const bytes = this.files[path.split(`/acme/tiny/resolve/${COMMIT}/`)[1] ?? '']
    if (bytes === undefined) return void response.writeHead(404).end()
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0)
    const rest = bytes.subarray(from)
    const head = range === undefined ? {} : { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }
    response.writeHead(range === undefined ? 200 : 206, { 'content-length': rest.length, ...head })
    const most = this.breaksOffAfter
    this.breaksOffAfter = null
    if (most === null) return void response.end(rest)
    response.write(rest.subarray(0, most), () => response.destroy())
  }

  #tree(): unknown[] {
    return Object.entries(this.files).map(([path, bytes]) => {
      const sha256 = createHash('sha256').update(this.wrongHash ? 'other' : bytes).digest('hex')
      const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
      const isLarge = /\.(gguf|safetensors)$/.test(path)
      return { type: 'file', path, size: bytes.length, oid, ...(isLarge ? { lfs: { oid: sha256, size: bytes.length, pointerSize: 130 } } : {}) }
    })
  }
}

function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
