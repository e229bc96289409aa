// docs/interface.md, "Safety".

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { io, type Socket } from 'socket.io-client'
import { AccessControl } from '../../ts/auth/access-control.js'
import { Keyring } from '../../ts/auth/keyring.js'
import { resolveOptions } from '../../ts/config/resolve.js'
import type { Sample, Snapshot } from '../../ts/protocol/index.js'
import { errorOf, openTestApi, rawRequest } from './support/api.js'
import { addKey } from './support/keys.js'
import { delta, done } from './support/fake-service.js'

const JSON_TYPE = { 'content-type': 'application/json' }
const HELLO = JSON.stringify({ messages: [{ role: 'user', content: 'Hi' }] })

test('a Host that is neither loopback nor allowed is misdirected', async (t) => {
  const api = await openTestApi({ access: { allowedHosts: ['box.example'], corsOrigins: [] } })
  t.teardown(() => api.close())
  const status = async (host: string) => (await rawRequest(`${api.url}/v1/models`, 'GET', { host })).status
  for (const host of ['localhost', 'LOCALHOST:8080', '127.0.0.1:1', '127.9.9.9', '[::1]:8080', 'box.example:443', 'Box.Example', 'box.example.']) {
    t.is(await status(host), 200, host)
  }
  for (const host of ['evil.example', 'a.box.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'a@localhost', '127.0.0.1/x']) {
    t.is(await status(host), 421, host)
  }
  const refused = await rawRequest(`${api.url}/v1/models`, 'GET', { host: 'evil.example' })
  t.is(JSON.parse(refused.body).error.code, 'misdirected')
})

test('an address passes the Host guard, and is no loopback for the rules of /admin and /metrics', async (t) => {
  const file = join(mkdtempSync(join(tmpdir(), 'attentionstore-keys-')), 'keys.jsonl')
  const key = addKey(file, 'app', 'acme')
  t.teardown(() => rmSync(file))
  const auth = new AccessControl({ apiKeys: new Keyring(file), adminKeys: null, isLoopback: true, now: () => 0 })
  const api = await openTestApi({}, {}, auth)
  t.teardown(() => api.close())
  const status = async (path: string, host: string, headers = {}) => (await rawRequest(api.url + path, 'GET', { host, ...headers })).status
  for (const host of ['10.1.2.3:8080', '[fd00::1]:8080', '0.0.0.0', '[::ffff:127.0.0.1]']) {
    t.is(await status('/v1/models', host, { 'x-api-key': key }), 200, host)
    t.is(await status('/health', host), 200, host)
    t.is(await status('/metrics', host), 401, host)
    t.is(await status('/admin/cache', host), 401, host)
  }
  t.is(await status('/metrics', 'localhost'), 200)
  t.is(await status('/admin/cache', 'localhost'), 200)
})

test('a pattern allows the names below a name, with it or without', async (t) => {
  const allowedHosts = resolveOptions({ flags: { allowedHosts: '.one.example,*.two.example' } }).allowedHosts
  const api = await openTestApi({ access: { allowedHosts, corsOrigins: [] } })
  t.teardown(() => api.close())
  const status = async (host: string) => (await rawRequest(`${api.url}/v1/models`, 'GET', { host })).status
  for (const host of ['one.example', 'a.one.example', 'A.B.One.Example:8443', 'a.two.example']) t.is(await status(host), 200, host)
  for (const host of ['two.example', 'xone.example', 'one.example.evil.example', 'example']) t.is(await status(host), 421, host)
})

test('requests that are not GET need the JSON content type', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const send = (headers: Record<string, string>) => rawRequest(`${api.url}/v1/chat/completions`, 'POST', headers, HELLO)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain; application/json']) {
    const reply = await send({ 'content-type': type })
    t.is(reply.status, 400, type)
    t.is(JSON.parse(reply.body).error.param, 'content-type')
  }
  t.is((await rawRequest(`${api.url}/admin/cache/reset`, 'POST')).status, 400)
  t.is((await send({ 'content-type': 'Application/JSON; charset=utf-8' })).status, 200)
  t.is((await rawRequest(`${api.url}/admin/cache/reset`, 'POST', JSON_TYPE)).status, 200)
})

test('pages from elsewhere are refused, wherever they come from', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const { host } = new URL(api.url)
  const status = async (headers: Record<string, string>, path = '/v1/chat/completions') =>
    (await rawRequest(api.url + path, 'POST', { ...JSON_TYPE, ...headers }, HELLO)).status
  t.is(await status({ origin: 'https://evil.example' }), 403)
  t.is(await status({ origin: 'null' }), 403)
  t.is(await status({ origin: `http://localhost:1` }), 403)
  t.is(await status({ 'sec-fetch-site': 'cross-site' }), 403)
  t.is(await status({ 'sec-fetch-site': 'same-site' }), 403)
  t.is(await status({ origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }), 200)
  t.is(await status({ 'sec-fetch-site': 'none' }), 200)
  t.is((await rawRequest(`${api.url}/admin/cache`, 'GET', { 'sec-fetch-site': 'cross-site' })).status, 403)
  t.deepEqual(api.service.demoted, [])
})

test('an allowed origin may call /v1 and nothing else', async (t) => {
  const origin = 'https://app.example'
  const api = await openTestApi({ access: { allowedHosts: [], corsOrigins: [origin] } })
  t.teardown(() => api.close())
  const headers = { origin, 'sec-fetch-site': 'cross-site' }
  const preflight = await rawRequest(`${api.url}/v1/chat/completions`, 'OPTIONS', { ...headers, 'access-control-request-headers': 'content-type' })
  t.is(preflight.status, 204)
  t.is(preflight.headers['access-control-allow-origin'], origin)
  const answer = await rawRequest(`${api.url}/v1/chat/completions`, 'POST', { ...JSON_TYPE, ...headers }, HELLO)
  t.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [200, origin])
  t.is((await rawRequest(`${api.url}/admin/cache`, 'GET', headers)).status, 403)
  t.is((await rawRequest(`${api.url}/v1x`, 'GET', headers)).status, 403)
  t.is((await rawRequest(`${api.url}/v1/models`, 'GET', { ...headers, origin: 'https://other.example' })).status, 403)
})

test('applications, extensions and pages of this machine are let in by their origin', async (t) => {
  const given = ['chrome-extension://abcdefghijklmnop', 'moz-extension://*', 'vscode-webview://*', 'app://obsidian.md', 'tauri://localhost']
  const allowed = async (corsOrigin: readonly string[], origin: string) => {
    const { corsOrigin: corsOrigins } = resolveOptions({ flags: { corsOrigin } })
    const api = await openTestApi({ access: { allowedHosts: [], corsOrigins } })
    try {
      const headers = { ...JSON_TYPE, origin, 'sec-fetch-site': 'cross-site' }
      const asked = { origin, 'access-control-request-private-network': 'true', 'access-control-request-headers': 'authorization' }
      const preflight = await rawRequest(`${api.url}/v1/chat/completions`, 'OPTIONS', asked)
      const answer = await rawRequest(`${api.url}/v1/chat/completions`, 'POST', headers, HELLO)
      t.is((await rawRequest(`${api.url}/admin/cache`, 'GET', headers)).status, 403, origin)
      if (answer.status === 200) {
        t.is(answer.headers['access-control-allow-origin'], origin)
        t.like(preflight.headers, { 'access-control-allow-private-network': 'true', 'access-control-allow-methods': 'POST, OPTIONS' })
      }
      return answer.status === 200
    } finally {
      await api.close()
    }
  }
  const known = ['chrome-extension://abcdefghijklmnop', 'moz-extension://2b1f-9c', 'vscode-webview://0a1b2c', 'app://obsidian.md', 'tauri://localhost']
  for (const origin of known) t.true(await allowed(given, origin), origin)
  for (const origin of ['chrome-extension://other', 'app://evil', 'tauri://localhost.evil', 'null', 'http://localhost:5173']) t.false(await allowed(given, origin), origin)
  for (const origin of ['http://localhost:5173', 'http://127.0.0.1:3000', 'https://localhost', 'http://[::1]:1']) t.true(await allowed(['localhost'], origin), origin)
  for (const origin of ['http://localhost.evil.example', 'http://10.0.0.1', 'app://localhost', 'null']) t.false(await allowed(['localhost'], origin), origin)
})

test('every answer has strict headers, and styles come from this server only', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  for (const path of ['/', '/v1/models', '/no-such-route']) {
    const { headers } = await fetch(api.url + path)
    const policy = headers.get('content-security-policy') ?? ''
    t.true(policy.split(';').includes("style-src 'self'"), path)
    t.false(policy.includes('unsafe'))
    t.is(headers.get('x-content-type-options'), 'nosniff')
    t.is(headers.get('x-powered-by'), null)
  }
})

test('the page and its assets are open, and nothing outside its directory', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-page-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const web = join(folder, 'web')
  mkdirSync(join(web, 'assets'), { recursive: true })
  writeFileSync(join(web, 'index.html'), '<title>page</title>')
  writeFileSync(join(web, 'assets/app.js'), 'app()')
  writeFileSync(join(folder, 'secret.txt'), 'secret')
  const api = await openTestApi({ webDirectory: web })
  t.teardown(() => api.close())
  const headers = { 'sec-fetch-site': 'cross-site' }
  t.is((await rawRequest(`${api.url}/`, 'GET', headers)).body, '<title>page</title>')
  t.is((await rawRequest(`${api.url}/assets/app.js`, 'GET', headers)).body, 'app()')
  t.not((await rawRequest(`${api.url}/..%2fsecret.txt`, 'GET')).status, 200)
  t.is((await rawRequest(`${api.url}/`, 'GET', { host: 'evil.example' })).status, 421)
})

test('without the page, / says so', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  t.regex(await (await fetch(`${api.url}/`)).text(), /make build/)
})

test("no user's text reaches the log", async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const secret = 'xyzzy-secret'
  const chat = (more: object) => api.post('/v1/chat/completions', { messages: [{ role: 'user', content: secret }], ...more })
  api.service.answer = () => [delta(secret), done()]
  await (await chat({ stream: true })).text()
  await chat({ stop: [secret], temperature: 7000 })
  await chat({ model: secret })
  await chat({ truncation: secret })
  await chat({ [secret]: 1, tools: [{ type: 'function', function: { name: secret, description: secret, parameters: { [secret]: secret } } }] })
  await chat({ tools: [{ type: 'function', function: { name: `${secret} ${secret}` } }], tool_choice: secret })
  await chat({ messages: [{ role: 'assistant', tool_calls: [{ id: secret, function: { name: secret, arguments: secret } }], reasoning: secret }] })
  await chat({ guided_json: `{${secret}`, grammar: secret, chat_template_kwargs: { [`${secret} `]: secret } })
  await fetch(`${api.url}/v1/models/${secret}`)
  await fetch(`${api.url}/v1/models/%zz${secret}`)
  await api.post('/v1/completions', { prompt: [1, secret] })
  await rawRequest(`${api.url}/${secret}?q=${secret}`, 'POST', JSON_TYPE, `{"a": ${secret}`)
  await rawRequest(`${api.url}/v1/chat/completions?q=${secret}`, 'POST', JSON_TYPE, `{"a": ${secret}`)
  await rawRequest(`${api.url}/v1/models`, 'GET', { 'x-secret': secret, cookie: secret, 'user-agent': secret })
  api.service.answer = () => [new TypeError(secret)]
  t.is((await chat({})).status, 500)
  t.true(api.log.length >= 8)
  t.true(api.log.some((line) => line.includes('/v1/chat/completions')))
  t.false(api.log.join('').includes(secret))
  t.false((await (await fetch(`${api.url}/metrics`)).text()).includes(secret))
})

test('a request id is taken if it is one, and made if not', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const id = async (given: string) => (await fetch(`${api.url}/health`, { headers: { 'x-request-id': given } })).headers.get('x-request-id')
  t.is(await id('mine:1'), 'mine:1')
  t.regex((await id('has spaces')) ?? '', /^req_/)
  t.regex((await id('x'.repeat(200))) ?? '', /^req_/)
})

test('a conversation id may come in a header; that of the body wins', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const send = (header: string, more: object = {}) =>
    api.post('/v1/completions', { prompt: 'x', ...more }, { 'x-conversation-id': header })
  t.is((await send('mine')).headers.get('x-conversation-id'), 'mine')
  t.is((await send('mine', { conversation: 'other' })).headers.get('x-conversation-id'), 'other')
  t.deepEqual(await errorOf(await send('not an id')), { status: 400, code: 'invalid_value', param: 'x-conversation-id' })
})

test('a body over the limit never reaches its handler', async (t) => {
  const api = await openTestApi({ maxBodyBytes: 1024 })
  t.teardown(() => api.close())
  const body = { messages: [{ role: 'user', content: 'x'.repeat(2000) }] }
  t.deepEqual(await errorOf(await api.post('/v1/chat/completions', body)), { status: 413, code: 'body_too_large', param: null })
  t.deepEqual(await errorOf(await api.post('/admin/cache/reset', body)), { status: 413, code: 'body_too_large', param: null })
  t.is(api.service.turns.length, 0)
})

const connect = (url: string, headers: Record<string, string> = {}): Socket =>
  io(url, { transports: ['websocket'], extraHeaders: headers, reconnection: false })

test('a socket gets the whole state, then samples of what it subscribes to', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const socket = connect(api.url)
  t.teardown(() => socket.close())
  const snapshot = await new Promise<Snapshot>((resolve) => socket.once('snapshot', resolve))
  t.is(snapshot.info.models[0], 'fake-model')
  t.is(snapshot.sample.tokens.reused.dram, 13)
  socket.emit('subscribe', ['overview', 'no such topic'])
  const sample = await new Promise<Sample>((resolve) => socket.once('sample', resolve))
  t.true(sample.uptimeMs > snapshot.sample.uptimeMs)
  t.deepEqual(Object.keys(sample).toSorted(), Object.keys(snapshot.sample).toSorted())
})

test('a socket gets each topic that it subscribes to, and nothing is computed for topics that nobody wants', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  let maps = 0
  const { cacheMap } = api.service
  api.service.cacheMap = () => {
    maps++
    return cacheMap.call(api.service)
  }
  const socket = connect(api.url)
  t.teardown(() => socket.close())
  const next = (event: string) => new Promise((resolve) => socket.once(event, resolve))
  await next('snapshot')
  for (const topics of ['map', null, { 0: 'map' }, ['no such topic', 7]]) socket.emit('subscribe', topics)
  socket.emit('subscribe', ['overview', 'what-if'])
  t.like(await next('what-if'), { method: 'guessed' })
  await next('sample')
  t.is(maps, 0)
  socket.emit('subscribe', ['map'])
  t.like(await next('map'), { policy: 'lru', queue: { length: 0 } })
  t.is(maps, 1)
})

test('sockets are refused as requests are', async (t) => {
  const api = await openTestApi({ access: { allowedHosts: [], corsOrigins: ['https://app.example'] } })
  t.teardown(() => api.close())
  const outcome = (headers: Record<string, string>) =>
    new Promise<string>((resolve) => {
      const socket = connect(api.url, headers)
      t.teardown(() => socket.close())
      socket.once('connect', () => resolve('connected'))
      socket.once('connect_error', () => resolve('refused'))
    })
  t.is(await outcome({ origin: 'https://evil.example' }), 'refused')
  // --cors-origin opens /v1 only.
  t.is(await outcome({ origin: 'https://app.example' }), 'refused')
  t.is(await outcome({ host: 'evil.example' }), 'refused')
  t.is(await outcome({ 'sec-fetch-site': 'cross-site' }), 'refused')
  t.is(await outcome({ origin: api.url }), 'connected')
  const polled = await rawRequest(`${api.url}/socket.io/?EIO=4&transport=polling`, 'GET', { host: 'evil.example' })
  t.is(polled.status, 403)
})

test('every line of the log is JSON with its level as a word, and one name for the id of a request', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const headers = { 'x-request-id': 'mine:7' }
  await api.post('/v1/chat/completions', { messages: [] }, headers)
  api.service.answer = () => [new TypeError('broken')]
  await api.post('/v1/chat/completions', JSON.parse(HELLO), headers)
  const lines = api.log.map((line) => JSON.parse(line) as Record<string, unknown>)
  t.deepEqual(lines.map(({ level }) => level), ['debug', 'debug', 'error', 'debug'])
  for (const line of lines) {
    t.is(line['request_id'], 'mine:7')
    t.deepEqual(Object.keys(line).filter((key) => /^(reqId|requestId|req|id)$/.test(key)), [])
  }
  t.like(lines[1], { method: 'POST', route: '/v1/chat/completions', res: { status: 400 } })
})
