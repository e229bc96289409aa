// Connections, probes, methods: docs/design/http-api.md.

import type { ServerResponse } from 'node:http'
import test from 'ava'
import { connectionTimeouts } from '../../ts/api/listen.js'
import { methodsOf, routesByPath } from '../../ts/api/paths.js'
import type { Route } from '../../ts/api/route.js'
import { ROUTES } from '../../ts/api/routes.js'
import { writeEventStream } from '../../ts/api/sse.js'
import { OWN_SHAPE } from '../../ts/api/surfaces.js'
import { AccessControl } from '../../ts/auth/access-control.js'
import { Keyring } from '../../ts/auth/keyring.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { ApiError } from '../../ts/protocol/errors.js'
import { temporaryFolder } from '../support/paths.js'
import { openTestApi, rawRequest } from './support/api.js'
import { addKey } from './support/keys.js'
import { Wire } from './support/wire.js'

const EVIL = { host: 'evil.example' }

test('an idle connection stays open for as long as the server says, and is then closed', async (t) => {
  const patient = await openTestApi({ keepAliveMs: 75_000 })
  t.teardown(() => patient.close())
  const kept = await rawRequest(`${patient.url}/health`, 'GET', { connection: 'keep-alive' })
  t.is(kept.headers['keep-alive'], 'timeout=75')
  const hasty = await openTestApi({ keepAliveMs: 20 })
  t.teardown(() => hasty.close())
  const wire = await Wire.open(hasty.url)
  await wire.send('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.is((await wire.reply()).status, 200)
  await wire.closed
})

test('no other time of a connection is shorter than that of an idle one', (t) => {
  for (const ms of [1, 5000, 59_999, 75_000, 86_400_000]) {
    const { keepAliveTimeout, headersTimeout, requestTimeout } = connectionTimeouts(ms)
    t.is(keepAliveTimeout, ms)
    t.true(headersTimeout > ms && requestTimeout > headersTimeout && headersTimeout >= 60_000, `${ms}`)
  }
})

/** What a stream writes whose events come `gaps` milliseconds apart. */
async function written(gaps: readonly number[], keepAliveMs: number | null): Promise<readonly string[]> {
  const clock = new VirtualClock()
  const texts: string[] = []
  const response = { write: (text: string) => texts.push(text), end: (text: string) => texts.push(text), destroyed: false, writableLength: 0 }
  const items = async function* () {
    for (const gap of gaps) {
      await clock.advance(gap)
      yield { gap }
    }
  }
  const bounds = { keepAliveMs, maxBufferedBytes: 1000, clock }
  await writeEventStream(response as unknown as ServerResponse, items(), OWN_SHAPE, bounds, () => {})
  await clock.advance(1000)
  return texts.map((text) => (text.startsWith(':') ? 'comment' : 'event'))
}

test('a stream has comments after silence only, and none where none are wanted', async (t) => {
  const flowing = Array.from({ length: 50 }, () => 9)
  t.false((await written(flowing, 10)).includes('comment'))
  t.deepEqual(await written([9, 35, 9], 10), ['event', 'comment', 'comment', 'comment', 'event', 'event', 'event'])
  t.deepEqual(await written([9, 500], null), ['event', 'event', 'event'])
})

test('probes answer under any Host, with their status only', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const probe = async (path: string) => {
    const { status, body } = await rawRequest(api.url + path, 'GET', EVIL)
    return [status, JSON.parse(body)]
  }
  t.deepEqual(await probe('/health'), [200, { status: 'ok' }])
  t.deepEqual(await probe('/ready'), [200, { status: 'ready', disks: { ssd: 'full' } }])
  t.is((await rawRequest(`${api.url}/health`, 'HEAD', EVIL)).status, 200)
  for (const path of ['/metrics', '/openapi.json', '/v1/models', '/admin/session', '/', '/healthy']) {
    t.is((await rawRequest(api.url + path, 'GET', EVIL)).status, 421, path)
  }
  const wire = await Wire.open(api.url)
  t.teardown(() => wire.close())
  await wire.send('GET /ready HTTP/1.0\r\n\r\n')
  t.is((await wire.reply()).status, 200)
})

test('why the engine ended is told to operators, and names no file to anyone', async (t) => {
  const folder = temporaryFolder()
  const file = `${folder}/admin.jsonl`
  const key = addKey(file, 'ops', '')
  const auth = new AccessControl({ apiKeys: null, adminKeys: new Keyring(file), isLoopback: true, now: () => 0 })
  const api = await openTestApi({}, {}, auth)
  t.teardown(() => api.close())
  const context = { engine_code: 'kv_io', path: '/srv/my data/ssd' }
  api.service.failure = new ApiError('engine_error', 'The engine stopped: /srv/my data/ssd: I/O error; see /var/x.log (kv_io)', null, context)
  const reason = async (headers: Record<string, string>, path = '/health') => {
    const { status, body } = await rawRequest(api.url + path, 'GET', headers)
    const { code, message } = (JSON.parse(body) as { error: { code: string; message: string } }).error
    return [status, code, message]
  }
  const silent = [503, 'engine_stopped', 'The engine has ended.']
  const admin = { authorization: `Bearer ${key}` }
  for (const path of ['/health', '/ready']) {
    t.deepEqual(await reason({}, path), silent)
    t.deepEqual(await reason({ ...EVIL, ...admin }, path), silent)
    t.deepEqual(await reason(admin, path), [503, 'engine_stopped', 'The engine stopped: …: I/O error; see … (kv_io)'])
  }
  api.service.answer = () => api.service.failure as ApiError
  const refused = await api.post('/v1/completions', { prompt: 'x' })
  t.is(refused.status, 500)
  t.false((await refused.text()).includes('/srv'))
})

test('a wrong method on a known route is told which methods there are', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const asked = async (method: string, path: string) => {
    const { status, headers, body } = await rawRequest(api.url + path, method, {}, '')
    return { status, allow: headers['allow'], code: body === '' ? null : (JSON.parse(body) as { error?: { code: string } }).error?.code ?? null }
  }
  const refused = (allow: string) => ({ status: 405, allow, code: 'method_not_allowed' })
  t.deepEqual(await asked('GET', '/v1/chat/completions'), refused('POST, OPTIONS'))
  t.deepEqual(await asked('PUT', '/v1/completions'), refused('POST, OPTIONS'))
  t.deepEqual(await asked('POST', '/health'), refused('GET, HEAD, OPTIONS'))
  t.deepEqual(await asked('PATCH', '/admin/session'), refused('GET, POST, DELETE, HEAD, OPTIONS'))
  t.deepEqual(await asked('GET', '/admin/conversations/x'), refused('DELETE, OPTIONS'))
  t.deepEqual(await asked('OPTIONS', '/v1/models'), { status: 204, allow: 'GET, HEAD, OPTIONS', code: null })
  t.is((await asked('GET', '/v2')).status, 404)
  t.is((await asked('OPTIONS', '/v2')).status, 404)
})

test('a path has the routes that express finds for it', (t) => {
  const route = (method: 'get' | 'post' | 'delete', path: string) => ({ ...(ROUTES[0] as Route), method, path })
  const at = routesByPath([route('get', '/a/b.json'), route('post', '/a/:id'), route('delete', '/m/*id'), route('get', '/a/:id/x')])
  const found = (path: string) => at(path).map(({ method, path: known }) => `${method} ${known}`)
  t.deepEqual(found('/a/b.json'), ['get /a/b.json', 'post /a/:id'])
  t.deepEqual(found('/A/B.JSON/'), ['get /a/b.json', 'post /a/:id'])
  t.deepEqual(found('/a/bxjson'), ['post /a/:id'])
  t.deepEqual(found('/a/1/x'), ['get /a/:id/x'])
  t.deepEqual(found('/m/org/name'), ['delete /m/*id'])
  t.deepEqual([found('/a/'), found('/a/1/2'), found('/m')], [[], [], []])
  t.deepEqual(methodsOf(at('/a/b.json')), ['GET', 'POST', 'HEAD', 'OPTIONS'])
})

test('HEAD has the headers of GET and no body', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  for (const path of ['/', '/health', '/ready', '/v1/models', '/metrics', '/openapi.json', '/admin/cache']) {
    const { status, headers, body } = await rawRequest(api.url + path, 'HEAD')
    t.deepEqual([status, body], [200, ''], path)
    t.is(headers['content-type'], (await rawRequest(api.url + path, 'GET')).headers['content-type'], path)
  }
})
