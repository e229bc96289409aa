// Request bodies as they come over the wire: docs/design/http-api.md, "Bodies".

import { request } from 'node:http'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import test from 'ava'
import { openTestApi, type TestApi } from './support/api.js'

const CHAT = '/v1/chat/completions'
const HELLO = JSON.stringify({ messages: [{ role: 'user', content: 'Hello again. '.repeat(20) }] })

const ENCODINGS = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync } as const
type Encoding = keyof typeof ENCODINGS

interface Outcome {
  readonly status: number
  readonly code: string | null
  readonly message: string
}

function send(api: TestApi, body: Uint8Array, encoding: Encoding): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding, 'content-length': body.length }
    const sent = request(api.url + CHAT, { method: 'POST', headers }, (response) => {
      let text = ''
      response.on('data', (part: Buffer) => (text += part.toString()))
      response.on('end', () => {
        const { error } = JSON.parse(text) as { error?: { code: string; message: string } }
        resolve({ status: response.statusCode ?? 0, code: error?.code ?? null, message: error?.message ?? '' })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Lines above debug. */
function complaints({ log }: TestApi): string[] {
  return log.filter((line) => !['trace', 'debug'].includes((JSON.parse(line) as { level: string }).level))
}

for (const [encoding, compress] of Object.entries(ENCODINGS) as ReadonlyArray<[Encoding, (typeof ENCODINGS)[Encoding]]>) {
  test(`a body in ${encoding} is read, and one that is not what it says is the client's error`, async (t) => {
    const api = await openTestApi()
    t.teardown(() => api.close())
    const whole = compress(HELLO)
    t.is((await send(api, whole, encoding)).status, 200)
    const damaged = Buffer.from(whole)
    damaged.fill(0x5a, 4)
    const bodies: Readonly<Record<string, Uint8Array>> = {
      garbage: Buffer.from([1, 2, 3, 250, 251, 252, 0, 0, 7, 7, 7, 7]),
      damaged,
      truncated: whole.subarray(0, whole.length - 9),
      'plain JSON': Buffer.from(HELLO),
      empty: Buffer.alloc(0),
      'not JSON inside': compress('{'),
    }
    for (const [name, body] of Object.entries(bodies)) {
      const { status, code } = await send(api, body, encoding)
      t.deepEqual([status, code], [400, 'invalid_value'], name)
    }
    t.regex((await send(api, Buffer.from(HELLO), encoding)).message, /not compressed as its content-encoding says/)
    t.deepEqual(complaints(api), [])
    t.is(api.service.turns.length, 1)
  })

  test(`a small body in ${encoding} that grows beyond the limit is too large`, async (t) => {
    const api = await openTestApi({ maxBodyBytes: 64 * 1024 })
    t.teardown(() => api.close())
    const bomb = compress(Buffer.alloc(64 * 1024 * 1024, 0x20))
    t.true(bomb.length < 128 * 1024)
    const { status, code } = await send(api, bomb, encoding)
    t.deepEqual([status, code], [413, 'body_too_large'])
    t.deepEqual(complaints(api), [])
  })
}

test('a path that is not percent-encoded is the client\'s error', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const response = await fetch(`${api.url}/admin/conversations/%E0%A4%A`, { method: 'DELETE', headers: { 'content-type': 'application/json' } })
  t.is(response.status, 400)
  t.deepEqual(complaints(api), [])
})
