// Clients that offer another protocol: docs/design/http-api.md, "Connections".

import test, { type ExecutionContext } from 'ava'
import { io } from 'socket.io-client'
import { openTestApi, type TestApi } from './support/api.js'
import { delta, done } from './support/fake-service.js'
import { Wire } from './support/wire.js'

const OFFERS = {
  h2c: 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n',
  tls: 'connection: upgrade\r\nupgrade: TLS/1.2\r\n',
  websocket: 'Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
} as const

const HELLO = JSON.stringify({ messages: [{ role: 'user', content: 'Grüße' }] })
const BYTES = Buffer.from(HELLO).toString('latin1')

function head(method: string, path: string, headers: string): string {
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`
}

function post(offer: string, framing = `Content-Length: ${BYTES.length}\r\n`): string {
  return head('POST', '/v1/chat/completions', `${offer}Content-Type: application/json\r\n${framing}`)
}

async function opened(t: ExecutionContext): Promise<{ api: TestApi; wire: Wire }> {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const wire = await Wire.open(api.url)
  t.teardown(() => wire.close())
  return { api, wire }
}

for (const [name, offer] of Object.entries(OFFERS)) {
  test(`an offer of ${name} is ignored, and the answer is HTTP/1.1`, async (t) => {
    const { wire } = await opened(t)
    await wire.send(head('GET', '/v1/models', offer))
    const { status, headers, body } = await wire.reply()
    t.is(status, 200)
    t.is(headers.get('upgrade'), undefined)
    t.is(JSON.parse(body).object, 'list')
  })
}

test('a request with an offer keeps its body, in one packet or in several', async (t) => {
  const { api, wire } = await opened(t)
  await wire.send(post(OFFERS.h2c) + BYTES)
  t.is((await wire.reply()).status, 200)
  await wire.send(post(OFFERS.h2c), BYTES.slice(0, 7), BYTES.slice(7, 30), BYTES.slice(30))
  t.is((await wire.reply()).status, 200)
  await wire.send(post(OFFERS.h2c).slice(0, 40), post(OFFERS.h2c).slice(40) + BYTES.slice(0, 3), BYTES.slice(3))
  t.is((await wire.reply()).status, 200)
  t.is(api.service.turns.length, 3)
  for (const { request } of api.service.turns) t.true(JSON.stringify(request.prompt).includes('Grüße'))
})

test('a chunked body behind an offer is read as it is', async (t) => {
  const { api, wire } = await opened(t)
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
  await wire.send(post(OFFERS.h2c, 'Transfer-Encoding: chunked\r\n'), chunk(BYTES.slice(0, 11)), chunk(BYTES.slice(11)), '0\r\n\r\n')
  t.is((await wire.reply()).status, 200)
  t.true(JSON.stringify(api.service.lastRequest.prompt).includes('Grüße'))
})

test('further requests of the connection are answered, with an offer and without', async (t) => {
  const { wire } = await opened(t)
  for (const headers of [OFFERS.h2c, '', OFFERS.tls, OFFERS.h2c, '']) {
    await wire.send(head('GET', '/health', headers))
    t.is((await wire.reply()).status, 200)
  }
})

test('a request with an offer behind one that is still being answered waits for it', async (t) => {
  const { api, wire } = await opened(t)
  api.service.answer = () => []
  const started = api.service.nextTurn()
  await wire.send(post('') + BYTES)
  const turn = await started
  await wire.send(head('GET', '/health', OFFERS.h2c), head('GET', '/v1/models', OFFERS.h2c))
  turn.push(delta('first'))
  turn.push(done())
  t.true((await wire.reply()).body.includes('first'))
  t.deepEqual(JSON.parse((await wire.reply()).body), { status: 'ok' })
  t.is(JSON.parse((await wire.reply()).body).object, 'list')
})

test('a client that closes its connection is not kept alive by its offer', async (t) => {
  const { wire } = await opened(t)
  await wire.send(head('GET', '/health', 'Connection: close, Upgrade\r\nUpgrade: h2c\r\n'))
  t.is((await wire.reply()).headers.get('connection'), 'close')
  await wire.closed
  t.pass()
})

test('guards hold for a request with an offer', async (t) => {
  const { wire } = await opened(t)
  await wire.send(`GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n${OFFERS.h2c}\r\n`)
  t.is((await wire.reply()).status, 421)
  await wire.send(head('GET', '/v1/realtime', OFFERS.websocket))
  t.is((await wire.reply()).status, 404)
})

test('the dashboard still upgrades to a websocket', async (t) => {
  const { api } = await opened(t)
  const socket = io(api.url, { transports: ['websocket'], reconnection: false })
  t.teardown(() => socket.close())
  await new Promise((resolve) => socket.once('snapshot', resolve))
  t.is(socket.io.engine.transport.name, 'websocket')
})
