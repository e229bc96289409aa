// Keys, sessions and what they open; docs/design/keys-and-tenants.md.

import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { AccessControl, type AccessOptions } from '../../ts/auth/access-control.js'
import { FailedAttempts } from '../../ts/auth/attempts.js'
import { presentedKey, sessionCookie, sessionToken } from '../../ts/auth/credentials.js'
import { appendKey, KeyFileError, MAX_KEYS, readKeyFile, removeKey, type KeyRecord } from '../../ts/auth/key-file.js'
import { keyHash, Keyring, newKey } from '../../ts/auth/keyring.js'
import { Sessions, SESSION_MS } from '../../ts/auth/sessions.js'
import { ApiError } from '../../ts/protocol/errors.js'

interface Teardown {
  teardown(close: () => void): void
}

function keyFile(t: Teardown): string {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-keys-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return join(folder, 'keys.jsonl')
}

const CREATED = '2026-03-01T00:00:00.000Z'

function record(key: string, tenant = 'acme', id = `key_${keyHash(key).toString('hex').slice(0, 8)}`): KeyRecord {
  return { id, name: `of ${tenant}`, tenant, sha256: keyHash(key).toString('hex'), created: CREATED }
}

/** Appends a new key for the tenant, and answers it. */
function addKey(path: string, tenant = 'acme'): string {
  const key = newKey()
  appendKey(path, record(key, tenant))
  return key
}

const lineOf = (thrown: unknown): unknown => (thrown instanceof KeyFileError ? thrown.context['line'] : thrown)

test('a new key has 256 bits and is unlike any other', t => {
  const keys = Array.from({ length: 100 }, newKey)
  t.is(new Set(keys).size, 100)
  for (const key of keys) t.is(Buffer.from(key.replace(/^as_/, ''), 'base64url').length, 32)
})

test('a file of keys is its owner’s alone, and holds no key', t => {
  const path = keyFile(t)
  const keys = [addKey(path), addKey(path, 'other')]
  t.is(statSync(path).mode & 0o777, 0o600)
  for (const key of keys) t.false(readFileSync(path, 'utf8').includes(key))
  t.deepEqual(readKeyFile(path), keys.map((key, i) => record(key, ['acme', 'other'][i])))
})

test('a line without an end before it is not run into', t => {
  const path = keyFile(t)
  addKey(path)
  writeFileSync(path, readFileSync(path, 'utf8').trimEnd())
  addKey(path)
  t.is(readKeyFile(path).length, 2)
})

test('a removed key leaves no trace, and the lines around it as they were', t => {
  const path = keyFile(t)
  const [a, b, c] = [addKey(path, 'a'), addKey(path, 'b'), addKey(path, 'c')]
  t.is(removeKey(path, record(b).id)?.tenant, 'b')
  t.deepEqual(readKeyFile(path), [record(a, 'a'), record(c, 'c')])
  t.false(readFileSync(path, 'utf8').includes(record(b).sha256))
  t.is(removeKey(path, record(b).id), null)
})

test('a name in any script keeps its place when a key is removed', t => {
  const path = keyFile(t)
  appendKey(path, { ...record('one'), name: 'Ünïcödé 🦊' })
  appendKey(path, { ...record('two'), name: '二番' })
  appendKey(path, record('three'))
  removeKey(path, record('two').id)
  t.deepEqual(readKeyFile(path).map(({ name }) => name), ['Ünïcödé 🦊', 'of acme'])
})

test('a damaged file is refused with the line that is wrong, and without what stands there', t => {
  const path = keyFile(t)
  const good = JSON.stringify(record('good'))
  const wrong: ReadonlyArray<readonly [line: string, field: RegExp]> = [
    ['{"id":', /not JSON/],
    ['[]', /not an object/],
    ['"text"', /not an object/],
    [JSON.stringify({ ...record('x'), sha256: 'marked' }), /sha256/],
    [JSON.stringify({ ...record('x'), sha256: record('x').sha256.toUpperCase() }), /sha256/],
    [JSON.stringify({ ...record('x'), tenant: 'marked tenant' }), /tenant/],
    [JSON.stringify({ ...record('x'), name: 'a\nmarked' }), /name/],
    [JSON.stringify({ ...record('x'), created: undefined }), /created/],
    [JSON.stringify({ ...record('x'), id: record('good').id }), /id/],
    [JSON.stringify({ ...record('good'), id: 'other' }), /sha256/],
  ]
  for (const [line, field] of wrong) {
    writeFileSync(path, `${good}\n\n${line}\n`)
    const error = t.throws(() => readKeyFile(path), { instanceOf: KeyFileError, code: 'key_file_damaged' })
    t.is(error?.context['line'], 3, line)
    t.regex(error?.message ?? '', field)
    t.notRegex(error?.message ?? '', /marked/)
    t.throws(() => appendKey(path, record('y')), { instanceOf: KeyFileError })
  }
})

test('what is no file of keys is refused', t => {
  const path = keyFile(t)
  t.throws(() => readKeyFile(path), { instanceOf: KeyFileError, code: 'key_file_unreadable' })
  symlinkSync('/dev/zero', path)
  t.throws(() => readKeyFile(path), { instanceOf: KeyFileError, code: 'key_file_damaged' })
  const binary = keyFile(t)
  writeFileSync(binary, Buffer.of(0xff, 0xfe))
  t.throws(() => readKeyFile(binary), { instanceOf: KeyFileError, code: 'key_file_damaged' })
})

test('a file has a most keys', t => {
  const path = keyFile(t)
  writeFileSync(path, Array.from({ length: MAX_KEYS }, (_, i) => `${JSON.stringify(record(`key ${i}`, 'acme', `id${i}`))}\n`).join(''))
  t.is(readKeyFile(path).length, MAX_KEYS)
  t.throws(() => appendKey(path, record('one more')), { instanceOf: KeyFileError })
  appendFileSync(path, `${JSON.stringify(record('one more'))}\n`)
  t.throws(() => readKeyFile(path), { instanceOf: KeyFileError })
})

test('a key is found by all of its characters and no others', t => {
  const path = keyFile(t)
  const key = addKey(path)
  const ring = new Keyring(path)
  t.is(ring.find(key)?.tenant, 'acme')
  for (const other of ['', key.slice(0, -1), `${key} `, key.toLowerCase(), record(key).sha256, newKey()]) t.is(ring.find(other), null)
})

test('a file that is read again brings its changes; a broken one changes nothing', t => {
  const path = keyFile(t)
  const first = addKey(path)
  const ring = new Keyring(path)
  const second = addKey(path, 'other')
  t.is(ring.find(second), null)
  ring.reload()
  t.is(ring.find(second)?.tenant, 'other')
  appendFileSync(path, 'broken\n')
  t.is(lineOf(t.throws(() => ring.reload())), 3)
  t.deepEqual([first, second].map(key => ring.find(key)?.tenant), ['acme', 'other'])
})

test('a session ends with its time, by request, or when it is one of too many', t => {
  let now = 1000
  const sessions = new Sessions(() => now)
  const { token, session } = sessions.begin('key')
  t.is(session.expiresAt, 1000 + SESSION_MS)
  t.is(sessions.find(token)?.keyId, 'key')
  t.is(sessions.find(`${token}x`), null)
  now += SESSION_MS
  t.is(sessions.find(token), null)
  const second = sessions.begin('key').token
  t.is(sessions.size, 1)
  t.true(sessions.end(second))
  t.false(sessions.end(second))
  const many = Array.from({ length: 1000 }, () => sessions.begin('key').token)
  t.true(sessions.size <= 256)
  t.is(sessions.find(many[0] as string), null)
  t.is(sessions.find(many[999] as string)?.keyId, 'key')
})

test('an address that fails too often waits, and no others', t => {
  let now = 0
  const attempts = new FailedAttempts(() => now)
  for (let i = 0; i < 10; i++) {
    t.is(attempts.waitSeconds('192.0.2.1'), 0)
    attempts.failed(i % 2 === 0 ? '192.0.2.1' : '::ffff:192.0.2.1')
  }
  t.is(attempts.waitSeconds('192.0.2.1'), 60)
  t.is(attempts.waitSeconds('192.0.2.2'), 0)
  now = 59_001
  t.is(attempts.waitSeconds('192.0.2.1'), 1)
  now = 60_000
  t.is(attempts.waitSeconds('192.0.2.1'), 0)
  attempts.failed('192.0.2.1')
  t.is(attempts.waitSeconds('192.0.2.1'), 0)
})

test('one network of IPv6 counts as one address, and only so many are remembered', t => {
  const attempts = new FailedAttempts(() => 0)
  for (let i = 0; i < 10; i++) attempts.failed(`2001:db8:0:1::${i}`)
  t.is(attempts.waitSeconds('2001:db8:0:1:ffff::1'), 60)
  t.is(attempts.waitSeconds('2001:db8:0:2::1'), 0)
  for (let i = 0; i < 5000; i++) attempts.failed(`10.0.${i >> 8}.${i & 255}`)
  t.is(attempts.addresses, 1024)
  for (let i = 0; i < 9; i++) attempts.failed('::1')
  attempts.succeeded('::1')
  attempts.failed('::1')
  t.is(attempts.waitSeconds('::1'), 0)
})

test('a key comes in one of two headers, and from nowhere else', t => {
  t.is(presentedKey({ authorization: 'Bearer abc' }), 'abc')
  t.is(presentedKey({ authorization: 'bearer  abc ' }), 'abc')
  t.is(presentedKey({ 'x-api-key': 'abc' }), 'abc')
  t.is(presentedKey({ authorization: 'Bearer abc', 'x-api-key': 'def' }), 'abc')
  for (const headers of [{}, { authorization: 'Basic abc' }, { authorization: 'Bearer' }, { authorization: 'Bearer a b' }, { 'x-api-key': '' }]) {
    t.is(presentedKey(headers), null)
  }
})

test('the cookie of a session is out of reach of scripts and of other sites', t => {
  const set = sessionCookie({ host: 'localhost:8080' }, 'token')
  t.is(set, 'attentionstore_session_8080=token; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict')
  for (const headers of [{ origin: 'https://box.example' }, { 'x-forwarded-proto': 'https' }, { 'x-forwarded-proto': 'HTTPS, http' }]) {
    t.regex(sessionCookie({ host: 'box.example', ...headers }, 'token'), /^attentionstore_session=token;.*; Secure$/)
  }
  t.notRegex(sessionCookie({ host: 'box.example', 'x-forwarded-proto': 'http, https' }, 'token'), /Secure/)
  t.is(sessionToken({ host: 'localhost:8080', cookie: 'a=b; attentionstore_session_8080=x=y; c' }), 'x=y')
  t.is(sessionToken({ host: 'localhost:8081', cookie: 'attentionstore_session_8080=token' }), null)
})

/** Access control with an API key of tenant `acme` and an admin key of tenant `ops`. */
function locked(t: Teardown, given: Partial<AccessOptions> = {}) {
  const [apiPath, adminPath] = [keyFile(t), keyFile(t)]
  const [key, admin] = [addKey(apiPath), addKey(adminPath, 'ops')]
  const options = { apiKeys: new Keyring(apiPath), adminKeys: new Keyring(adminPath), isLoopback: true, now: () => 0, ...given }
  return { auth: new AccessControl(options), key, admin, apiPath, adminPath }
}

const from = (headers: Record<string, string> = {}, isSameOrigin = true) => ({ headers: { host: '127.0.0.1:8080', ...headers }, isSameOrigin })
const bearer = (key: string) => from({ authorization: `Bearer ${key}` })

function codeOf(run: () => unknown): string {
  try {
    run()
    return 'ok'
  } catch (thrown) {
    if (thrown instanceof ApiError) return thrown.code
    throw thrown
  }
}

test('each key opens what is its own', t => {
  const { auth, key, admin } = locked(t)
  t.is(auth.authorize('api', bearer(key)).tenant, 'acme')
  t.is(auth.authorize('api', bearer(admin)).tenant, 'ops')
  t.is(auth.authorize('admin', bearer(admin)).tenant, 'ops')
  t.is(codeOf(() => auth.authorize('admin', bearer(key))), 'forbidden')
  for (const access of ['api', 'admin'] as const) {
    t.is(codeOf(() => auth.authorize(access, from())), 'invalid_api_key')
    t.is(codeOf(() => auth.authorize(access, bearer(newKey()))), 'invalid_api_key')
  }
  t.is(codeOf(() => auth.authorize('open', bearer('wrong'))), 'ok')
})

test('a server without keys asks for none, whatever is sent', t => {
  const { auth, key } = locked(t, { apiKeys: null, adminKeys: null, isLoopback: false })
  for (const access of ['api', 'admin', 'metrics'] as const) t.deepEqual(auth.authorize(access, bearer(key)), { tenant: '' })
  t.false(auth.needsLogin(from().headers))
})

test('with an admin key alone, /v1 stays open and has one tenant', t => {
  const { auth, admin } = locked(t, { apiKeys: null })
  t.deepEqual(auth.authorize('api', from()), { tenant: '' })
  t.deepEqual(auth.authorize('api', bearer(admin)), { tenant: '' })
  t.is(codeOf(() => auth.authorize('admin', from())), 'invalid_api_key')
})

test('without an admin key, admin routes are open to this machine only', t => {
  const here = locked(t, { adminKeys: null }).auth
  const there = locked(t, { adminKeys: null, isLoopback: false }).auth
  t.is(codeOf(() => here.authorize('admin', from())), 'ok')
  t.is(codeOf(() => there.authorize('admin', from())), 'invalid_api_key')
  for (const headers of [{ host: 'box.example' }, { 'x-forwarded-for': '192.0.2.1' }, { forwarded: 'for=192.0.2.1' }, { via: '1.1 proxy' }]) {
    t.is(codeOf(() => here.authorize('admin', from(headers as Record<string, string>))), 'invalid_api_key')
  }
})

test('metrics are open to this machine, else they need the admin key', t => {
  const { auth } = locked(t)
  t.is(codeOf(() => auth.authorize('metrics', from())), 'ok')
  t.is(codeOf(() => auth.authorize('metrics', from({ 'x-forwarded-for': '192.0.2.1' }))), 'invalid_api_key')
  const { auth: far, admin, key } = locked(t, { isLoopback: false })
  t.is(codeOf(() => far.authorize('metrics', from())), 'invalid_api_key')
  t.is(codeOf(() => far.authorize('metrics', bearer(key))), 'forbidden')
  t.is(codeOf(() => far.authorize('metrics', bearer(admin))), 'ok')
})

test('a login opens admin routes and /v1, to the page alone, until it ends', t => {
  const { auth, admin } = locked(t)
  const { cookie } = auth.login(admin, from().headers, '::1')
  const pair = { cookie: cookie.split(';')[0] as string }
  t.is(auth.authorize('admin', from(pair)).tenant, 'ops')
  t.is(auth.authorize('api', from(pair)).tenant, 'ops')
  t.is(codeOf(() => auth.authorize('api', from(pair, false))), 'invalid_api_key')
  // A key that is sent along is the one that counts.
  t.is(codeOf(() => auth.authorize('admin', from({ ...pair, 'x-api-key': 'wrong' }))), 'invalid_api_key')
  t.false(auth.logout(from(pair, false)).ended)
  t.true(auth.logout(from(pair)).ended)
  t.is(codeOf(() => auth.authorize('admin', from(pair))), 'invalid_api_key')
})

test('a login needs the admin key, and few tries', t => {
  const { auth, key, admin } = locked(t)
  const login = (text: string, address = '192.0.2.1') => codeOf(() => auth.login(text, from().headers, address))
  t.is(login(key), 'invalid_api_key')
  for (let i = 1; i < 10; i++) t.is(login(`wrong ${i}`), 'invalid_api_key')
  t.is(login(admin), 'too_many_attempts')
  t.is(login(admin, '192.0.2.2'), 'ok')
  t.is(codeOf(() => locked(t, { adminKeys: null }).auth.login(admin, {}, '::1')), 'not_found')
})

test('a key that is taken away takes its sessions along', t => {
  const { auth, admin, adminPath } = locked(t)
  const { cookie, record: found } = auth.login(admin, from().headers, '::1')
  const pair = { cookie: cookie.split(';')[0] as string }
  removeKey(adminPath, found.id)
  t.is(codeOf(() => auth.authorize('admin', from(pair))), 'ok')
  t.deepEqual(auth.reload(), [])
  t.is(codeOf(() => auth.authorize('admin', from(pair))), 'invalid_api_key')
  appendFileSync(adminPath, 'broken\n')
  t.deepEqual(auth.reload().map(({ code }) => code), ['key_file_damaged'])
})
