// Keys, tenants, logins and admin routes over HTTP; docs/interface.md, "Safety".

import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { io } from 'socket.io-client'
import { ROUTES } from '../../ts/api/routes.js'
import { AccessControl, type AccessOptions } from '../../ts/auth/access-control.js'
import { appendKey } from '../../ts/auth/key-file.js'
import { keyHash, Keyring, newKey } from '../../ts/auth/keyring.js'
import type { SessionState } from '../../ts/protocol/index.js'
import { errorOf, openTestApi, rawRequest } from './support/api.js'

interface Teardown {
  teardown(close: () => void | Promise<void>): void
}

/** A file with one key. */
function keyFile(t: Teardown, tenant: string): { path: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-keys-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [path, key] = [join(folder, 'keys.jsonl'), newKey()]
  const sha256 = keyHash(key).toString('hex')
  appendKey(path, { id: `id-${tenant}`, name: `name of ${tenant}`, tenant, sha256, created: '2026-03-01T00:00:00Z' })
  return { path, key }
}

/** A server with an API key of tenant `acme` and an admin key of tenant `ops`. */
async function lockedApi(t: Teardown, given: Partial<AccessOptions> = {}, corsOrigins: readonly string[] = []) {
  const [api, admin] = [keyFile(t, 'acme'), keyFile(t, 'ops')]
  const options = { apiKeys: new Keyring(api.path), adminKeys: new Keyring(admin.path), isLoopback: true, now: () => 0, ...given }
  const auth = new AccessControl(options)
  const opened = await openTestApi({ access: { allowedHosts: ['box.example'], corsOrigins } }, {}, auth)
  t.teardown(() => opened.close())
  const login = async (key = admin.key): Promise<string> =>
    ((await opened.post('/admin/session', { key })).headers.get('set-cookie') ?? '').split(';')[0] ?? ''
  return { opened, auth, key: api.key, adminKey: admin.key, adminPath: admin.path, login }
}

const JSON_TYPE = { 'content-type': 'application/json' }
const HELLO = { messages: [{ role: 'user', content: 'Hi' }] }
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const pathOf = (path: string) => path.replace(':id', 'conv_fake')

test('every route says what it asks of its caller, and asks for it before it reads the body', async (t) => {
  const { opened, key, adminKey } = await lockedApi(t, { isLoopback: false })
  for (const { method, path, access } of ROUTES) {
    const send = (headers: Record<string, string>) =>
      rawRequest(opened.url + pathOf(path), method.toUpperCase(), { ...JSON_TYPE, ...headers }, method === 'post' ? '{"broken":' : '')
    const statuses = [(await send({})).status, (await send(bearer(key))).status, (await send(bearer(adminKey))).status]
    const [anyone, tenant, admin] = statuses.map((status) => (status === 401 || status === 403 ? status : 'in'))
    const name = `${method} ${path}`
    if (access === 'open') t.deepEqual([anyone, tenant, admin], ['in', 'in', 'in'], name)
    else if (access === 'api') t.deepEqual([anyone, tenant, admin], [401, 'in', 'in'], name)
    else t.deepEqual([anyone, tenant, admin], [401, 403, 'in'], name)
  }
})

test('what is open, needs a key or needs the admin key is what the interface says', (t) => {
  const opening = (wanted: string) => ROUTES.filter(({ access }) => access === wanted).map(({ path }) => path)
  t.deepEqual(new Set(opening('open')), new Set(['/health', '/ready', '/openapi.json', '/admin/session']))
  t.deepEqual(opening('metrics'), ['/metrics'])
  for (const { path, access } of ROUTES) {
    if (path.startsWith('/admin') && path !== '/admin/session') t.is(access, 'admin', path)
    if (path.startsWith('/v1')) t.is(access, 'api', path)
  }
})

test('a wrong or missing key is 401, says how to send one, and is never repeated', async (t) => {
  const { opened } = await lockedApi(t)
  for (const headers of [{}, bearer('marked-key'), { 'x-api-key': 'marked-key' }, { authorization: 'Basic marked-key' }]) {
    const response = await opened.post('/v1/chat/completions', HELLO, headers as Record<string, string>)
    t.is(response.headers.get('www-authenticate'), 'Bearer realm="attentionstore"')
    const text = await response.text()
    t.is(JSON.parse(text).error.code, 'invalid_api_key')
    t.is(response.status, 401)
    t.false(text.includes('marked-key'))
  }
  t.is(opened.service.turns.length, 0)
  t.false(opened.log.join('').includes('marked-key'))
})

test('a key in the query is none', async (t) => {
  const { opened, key, adminKey } = await lockedApi(t)
  for (const name of ['key', 'api_key', 'x-api-key', 'authorization', 'token']) {
    t.is((await opened.post(`/v1/chat/completions?${name}=${key}`, HELLO)).status, 401, name)
    t.is((await fetch(`${opened.url}/admin/cache?${name}=${adminKey}`)).status, 401, name)
  }
  t.false(opened.log.join('').includes(key))
})

test('a turn runs as the tenant of its key', async (t) => {
  const { opened, key, adminKey, login } = await lockedApi(t)
  const tenantOf = async (headers: Record<string, string>) => {
    t.is((await opened.post('/v1/chat/completions', HELLO, headers)).status, 200)
    return opened.service.lastRequest.tenant
  }
  t.is(await tenantOf(bearer(key)), 'acme')
  t.is(await tenantOf({ 'x-api-key': key }), 'acme')
  t.is(await tenantOf(bearer(adminKey)), 'ops')
  t.is(await tenantOf({ cookie: await login() }), 'ops')
  await opened.post('/v1/completions', { prompt: 'x' }, bearer(key))
  t.is(opened.service.lastRequest.tenant, 'acme')
})

test('without keys everything belongs to one tenant, whatever key a client sends', async (t) => {
  const opened = await openTestApi()
  t.teardown(() => opened.close())
  await opened.post('/v1/completions', { prompt: 'x' }, bearer('none'))
  t.is(opened.service.lastRequest.tenant, '')
  t.deepEqual(await (await fetch(`${opened.url}/admin/session`)).json(), { login_required: false, session: null })
  t.is((await opened.post('/admin/session', { key: 'x' })).status, 404)
})

test('the page asks whether a login is needed, logs in, and out', async (t) => {
  const { opened, adminKey } = await lockedApi(t)
  const state = async (cookie = ''): Promise<SessionState> =>
    (await fetch(`${opened.url}/admin/session`, { headers: { cookie } })).json() as Promise<SessionState>
  t.deepEqual(await state(), { login_required: true, session: null })
  const response = await opened.post('/admin/session', { key: adminKey })
  const session = { name: 'name of ops', tenant: 'ops', expires_at_ms: 12 * 3600 * 1000 }
  t.deepEqual(await response.json(), session)
  const set = response.headers.get('set-cookie') ?? ''
  const { port } = new URL(opened.url)
  t.regex(set, new RegExp(`^attentionstore_session_${port}=[\\w-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict$`))
  t.false(set.includes(adminKey))
  const cookie = set.split(';')[0] ?? ''
  t.deepEqual(await state(cookie), { login_required: true, session })
  t.is((await fetch(`${opened.url}/admin/cache`, { headers: { cookie } })).status, 200)
  const logout = await fetch(`${opened.url}/admin/session`, { method: 'DELETE', headers: { ...JSON_TYPE, cookie } })
  t.deepEqual(await logout.json(), { ended: true })
  t.regex(logout.headers.get('set-cookie') ?? '', /=; Path=\/; Max-Age=0;/)
  t.is((await fetch(`${opened.url}/admin/cache`, { headers: { cookie } })).status, 401)
})

test('a wrong login is 401, and too many are 429 with the time to wait', async (t) => {
  const { opened, key, adminKey } = await lockedApi(t)
  t.deepEqual(await errorOf(await opened.post('/admin/session', {})), { status: 400, code: 'invalid_value', param: 'key' })
  for (let i = 0; i < 10; i++) t.is((await opened.post('/admin/session', { key: i === 0 ? key : 'wrong' })).status, 401)
  const response = await opened.post('/admin/session', { key: adminKey })
  t.is(response.headers.get('retry-after'), '60')
  t.is((await errorOf(response)).code, 'too_many_attempts')
})

test('the rules on hosts, origins and content types hold for whoever is logged in', async (t) => {
  const origin = 'https://app.example'
  const { opened, login } = await lockedApi(t, {}, [origin])
  const cookie = await login()
  const status = async (path: string, headers: Record<string, string>, method = 'POST') =>
    (await rawRequest(opened.url + path, method, { ...JSON_TYPE, cookie, ...headers }, method === 'POST' ? JSON.stringify(HELLO) : '')).status
  t.is(await status('/admin/cache/reset', {}), 200)
  t.is(await status('/admin/cache/reset', { origin: 'https://evil.example' }), 403)
  t.is(await status('/admin/cache/reset', { origin: 'http://127.0.0.1:1' }), 403)
  t.is(await status('/admin/cache/reset', { 'sec-fetch-site': 'same-site' }), 403)
  t.is(await status('/admin/cache/reset', { 'sec-fetch-site': 'cross-site' }), 403)
  t.is(await status('/admin/cache/reset', { 'content-type': 'text/plain' }), 400)
  t.is(await status('/admin/cache/reset', { host: 'evil.example' }), 421)
  t.is(await status('/admin/conversations/conv_fake', { 'content-type': 'text/plain' }, 'DELETE'), 400)
  t.is(await status('/admin/session', { origin: 'https://evil.example' }), 403)
  t.deepEqual(opened.service.conversationCalls, [])
  // A page that may call /v1 needs a key: the cookie is for our own page.
  t.is(await status('/v1/chat/completions', { origin }), 401)
  t.is(await status('/v1/chat/completions', { origin: opened.url }), 200)
})

test('a socket needs the admin key or its session, and ends with it', async (t) => {
  const { opened, key, adminKey, login } = await lockedApi(t)
  const connect = (headers: Record<string, string>) => {
    const socket = io(opened.url, { transports: ['websocket'], extraHeaders: headers, reconnection: false })
    t.teardown(() => void socket.close())
    return socket
  }
  const outcome = (headers: Record<string, string>) =>
    new Promise<string>((resolve) => {
      const socket = connect(headers)
      socket.once('connect', () => resolve('connected'))
      socket.once('connect_error', () => resolve('refused'))
    })
  const cookie = await login()
  t.is(await outcome({}), 'refused')
  t.is(await outcome(bearer(key)), 'refused')
  t.is(await outcome(bearer(adminKey)), 'connected')
  t.is(await outcome({ cookie }), 'connected')
  t.is(await outcome({ cookie, origin: 'https://evil.example' }), 'refused')
  t.is(await outcome({ cookie, origin: 'http://127.0.0.1:1' }), 'refused')
  const socket = connect({ cookie })
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  socket.emit('subscribe', ['overview'])
  const ended = new Promise<string>((resolve) => socket.once('disconnect', resolve))
  await fetch(`${opened.url}/admin/session`, { method: 'DELETE', headers: { ...JSON_TYPE, cookie } })
  t.is(await ended, 'io server disconnect')
})

test('metrics are open to this machine, and not to what comes through a proxy', async (t) => {
  const { opened, adminKey } = await lockedApi(t)
  const status = async (headers: Record<string, string>) => (await rawRequest(`${opened.url}/metrics`, 'GET', headers)).status
  t.is(await status({}), 200)
  t.is(await status({ host: 'box.example' }), 401)
  t.is(await status({ 'x-forwarded-for': '192.0.2.1' }), 401)
  t.is(await status({ host: 'box.example', ...bearer(adminKey) }), 200)
})

test('conversations are listed and acted on with what path and query say', async (t) => {
  const opened = await openTestApi()
  t.teardown(() => opened.close())
  const { conversationCalls: calls } = opened.service
  const page = await (await fetch(`${opened.url}/admin/conversations?limit=5&tenant=acme&q=conv&cursor=77`)).json()
  t.deepEqual(page, {
    conversations: [
      {
        id: 'conv_fake',
        tenant: 'acme',
        turns: 2,
        tokens: 130,
        created_at_ms: 1000,
        last_used_at_ms: 2000,
        forked_from: null,
        active_turns: 1,
        tiers: { hbm: { blocks: 1, tokens: 64 }, dram: { blocks: 0, tokens: 0 }, ssd: { blocks: 1, tokens: 2 } },
        strip: [{ tier: 'hbm', blocks: 1 }, { tier: null, blocks: 1 }, { tier: 'ssd', blocks: 1 }],
      },
    ],
    total: 7,
    next_cursor: '5',
  })
  await fetch(`${opened.url}/admin/conversations`)
  t.deepEqual(calls.splice(0), [
    'list {"tenant":"acme","text":"conv","before":77,"limit":5}',
    'list {"tenant":null,"text":null,"before":null,"limit":100}',
  ])
  const post = async (path: string, body: unknown = {}) => (await opened.post(`/admin/conversations/${path}`, body)).json()
  t.deepEqual(await post('conv_fake/warm?tenant=acme'), {
    conversation: 'conv_fake',
    blocks: 3,
    promoted_blocks: 2,
    loaded_blocks: 1,
    tiers: { hbm: 1, dram: 2, ssd: 0 },
  })
  t.like(await post('conv_fake/demote', { to: 'ssd' }), { demoted_blocks: 2, skipped_in_use: 1, skipped_shared: 4 })
  t.deepEqual(await post('conv_fake/fork'), { conversation: 'conv_fork', forked_from: 'conv_fake', tenant: 'acme', shared_blocks: 3, durable: true })
  const erased = await fetch(`${opened.url}/admin/conversations/conv_fake?tenant=`, { method: 'DELETE', headers: JSON_TYPE })
  t.deepEqual(await erased.json(), {
    conversation: 'conv_fake',
    tenant: 'acme',
    blocks_erased: 2,
    bytes_erased: 512,
    tiers: { hbm: 1, dram: 2, ssd: 2 },
    remains_overwritten: 5,
    records_erased: 1,
    responses_erased: 2,
    requests_anonymised: 3,
    kept_shared: [{ key: 'ab', referrers: ['conv_other'] }],
    durable: true,
  })
  t.deepEqual(calls, ['warm conv_fake acme', 'demote to ssd conv_fake null', 'fork conv_fake null', 'erase conv_fake '])
})

test('wrong conversations, pages and targets are named', async (t) => {
  const opened = await openTestApi()
  t.teardown(() => opened.close())
  const get = async (query: string) => errorOf(await fetch(`${opened.url}/admin/conversations?${query}`))
  for (const [query, param] of [['limit=0', 'limit'], ['limit=1001', 'limit'], ['limit=x', 'limit'], ['cursor=x', 'cursor'], ['tenant=a%20b', 'tenant']]) {
    t.deepEqual(await get(query as string), { status: 400, code: 'invalid_value', param: param as string })
  }
  t.is((await errorOf(await opened.post('/admin/conversations/unknown/warm', {}))).code, 'not_found')
  t.deepEqual(await errorOf(await opened.post('/admin/conversations/a%20b/warm', {})), { status: 400, code: 'invalid_value', param: 'id' })
  t.deepEqual(await errorOf(await opened.post('/admin/conversations/conv_fake/demote', {})), { status: 400, code: 'invalid_value', param: 'to' })
  t.false(opened.log.join('').includes('unknown'))
  t.true(opened.log.some((line) => line.includes('/admin/conversations/:id/warm')))
})

test('keys that are read again count at once', async (t) => {
  const { opened, auth, adminKey, adminPath } = await lockedApi(t)
  const later = newKey()
  const sha256 = keyHash(later).toString('hex')
  appendKey(adminPath, { id: 'later', name: 'later', tenant: 'ops', sha256, created: '2026-03-01T00:00:00Z' })
  const status = async (key: string) => (await fetch(`${opened.url}/admin/cache`, { headers: bearer(key) })).status
  t.is(await status(later), 401)
  t.deepEqual(auth.reload(), [])
  t.is(await status(later), 200)
  appendFileSync(adminPath, '{broken\n')
  t.is(auth.reload().length, 1)
  t.is(await status(adminKey), 200)
})
