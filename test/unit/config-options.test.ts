import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { SERVER_POLICIES } from '../../ts/config/names.js'
import { OPTION_KEYS, SERVE_OPTIONS, variable, type RawOptions } from '../../ts/config/options.js'
import { readConfigFile, resolveOptions, type OptionSources } from '../../ts/config/resolve.js'
import { policyNames } from '../../ts/placement/registry.js'
import { ExitError } from '../../ts/protocol/errors.js'

const values = (text: Record<string, unknown>) => ({ path: 'server.toml', values: text })

/** The error must have exit code 2 and say all of `words`. */
function refused(t: ExecutionContext, sources: OptionSources, ...words: string[]): void {
  const error = t.throws(() => resolveOptions(sources), { instanceOf: ExitError })
  t.is(error?.exitCode, 2)
  for (const word of words) t.true(error?.message.includes(word), `${error?.message} | ${word}`)
}

test('nothing given, every default is the table', (t) => {
  const options = resolveOptions({})
  t.deepEqual(Object.keys(options), OPTION_KEYS)
  for (const key of OPTION_KEYS) t.deepEqual(options[key], SERVE_OPTIONS[key].default)
  t.like(options, { host: '127.0.0.1', port: 8080, policy: 'adaptive', maxQueue: 256, maxBodyBytes: 4 * 2 ** 20, maxBatchTokens: null, device: 'auto' })
})

test('flags win over the environment, the environment over the file', (t) => {
  const file = values({ port: 1, 'max-queue': 1, 'hbm-bytes': '1MiB' })
  const env = { ATTENTIONSTORE_PORT: '2', ATTENTIONSTORE_MAX_QUEUE: '2', OTHER: 'x' }
  const options = resolveOptions({ flags: { port: '3' }, env, file })
  t.like(options, { port: 3, maxQueue: 2, hbmBytes: 2 ** 20 })
})

test('unknown keys are refused, wherever they are', (t) => {
  refused(t, { flags: { colour: 'red' } as RawOptions }, 'colour')
  refused(t, { env: { ATTENTIONSTORE_COLOUR: 'red' } }, 'ATTENTIONSTORE_COLOUR')
  refused(t, { file: values({ colour: 'red' }) }, 'colour', 'server.toml')
  refused(t, { file: values({ hbmBytes: '1GiB' }) }, 'hbmBytes')
  refused(t, { file: values({ __proto__: null, constructor: 1 }) }, 'constructor')
})

test('a wrong value names what the user wrote, and the limit', (t) => {
  refused(t, { flags: { port: '70000' } }, '--port', '65535')
  refused(t, { env: { ATTENTIONSTORE_PORT: 'x' } }, 'ATTENTIONSTORE_PORT', '65535')
  refused(t, { file: values({ port: -1 }) }, 'port in server.toml', '65535')
  refused(t, { flags: { port: '1e3' } }, '--port')
  refused(t, { flags: { threads: '0' } }, '--threads', '1 to 1024')
  refused(t, { flags: { device: 'gpu' } }, '--device', 'cpu')
  refused(t, { flags: { profile: 'h100', device: 'simulated' } }, '--profile', 'cpu-2')
  refused(t, { flags: { logLevel: 'loud' } }, '--log-level')
  refused(t, { flags: { noReuse: 'maybe' } }, '--no-reuse')
  refused(t, { flags: { model: '' } }, '--model')
  refused(t, { flags: { servedModelName: ['two words'] } }, '--served-model-name')
})

test('responses are stored where the server opens its data directory and keeps responses at all', (t) => {
  t.is(resolveOptions({ flags: { storeResponses: true } }).storeResponses, true)
  refused(t, { flags: { storeResponses: true, noReuse: true } }, '--store-responses', '--no-reuse', '--data-dir')
  refused(t, { flags: { storeResponses: true, responseBytes: '0' } }, '--store-responses', '--response-bytes')
})

test('template arguments are a JSON object, or a table, without names of the server’s own', (t) => {
  const table = { enable_thinking: false, style: { tone: 'plain' } }
  t.deepEqual(resolveOptions({ flags: { chatTemplateKwargs: JSON.stringify(table) } }).chatTemplateKwargs, table)
  t.deepEqual(resolveOptions({ file: values({ 'chat-template-kwargs': table }) }).chatTemplateKwargs, table)
  for (const wrong of ['{', '[]', 'null', '3', '{"a b": 1}']) refused(t, { flags: { chatTemplateKwargs: wrong } }, '--chat-template-kwargs')
  refused(t, { flags: { chatTemplateKwargs: '{"messages": []}' } }, '--chat-template-kwargs', 'messages')
})

test('a window has 256 tokens at least, and a share of it leaves at a time', (t) => {
  const given = { contextWindow: '512', truncationRatio: '0.25', reuseAfterTruncation: 'off' }
  t.like(resolveOptions({ flags: given }), { contextWindow: 512, truncationRatio: 0.25, reuseAfterTruncation: 'off' })
  t.like(resolveOptions({}), { contextWindow: null, truncationRatio: 0.5, reuseAfterTruncation: 'on' })
  for (const wrong of ['255', '0', 'all', '512.5']) refused(t, { flags: { contextWindow: wrong } }, '--context-window', '256')
  for (const wrong of ['0', '1.1', '-0.5', 'half', Number.NaN, 0]) refused(t, { flags: { truncationRatio: wrong } }, '--truncation-ratio', 'at most 1')
  refused(t, { flags: { reuseAfterTruncation: 'maybe' } }, '--reuse-after-truncation', 'on, off')
})

test('sizes are read with binary and decimal units', (t) => {
  const bytes = (hbmBytes: unknown) => resolveOptions({ flags: { hbmBytes } }).hbmBytes
  t.is(bytes('512MiB'), 512 * 2 ** 20)
  t.is(bytes('4GiB'), 4 * 2 ** 30)
  t.is(bytes('1.5GB'), 1.5e9)
  t.is(bytes('100'), 100)
  t.is(bytes(4096), 4096)
  for (const wrong of ['', 'x', '-1GiB', '1 GiB', '1gib', '0', 0, '9999999TiB', Number.NaN, true]) {
    refused(t, { flags: { hbmBytes: wrong } }, '--hbm-bytes')
  }
})

test('0 turns the lower tiers off, never the first', (t) => {
  t.like(resolveOptions({ flags: { dramBytes: '0', ssdBytes: 0 } }), { dramBytes: 0, ssdBytes: 0 })
  refused(t, { flags: { hbmBytes: '0' } }, '--hbm-bytes')
})

test('rates and durations have units', (t) => {
  t.like(resolveOptions({ flags: { ssdReadLimit: '200MB/s', ssdWriteLimit: '1GiB/s', sessionTtl: '30m' } }), {
    ssdReadLimit: 2e8,
    ssdWriteLimit: 2 ** 30,
    sessionTtl: 30 * 60_000,
  })
  for (const wrong of ['200MB', 'fast', '0MB/s']) refused(t, { flags: { ssdReadLimit: wrong } }, '--ssd-read-limit')
  for (const wrong of ['30', 30, '0s', 'm', '9999999d']) refused(t, { flags: { sessionTtl: wrong } }, '--session-ttl')
})

test('times that a timer waits have a bound, and comments of streams can be turned off', (t) => {
  t.like(resolveOptions({}), { keepAliveTimeout: 75_000, drainTimeout: 10_000, streamKeepAlive: 10_000 })
  const flags = { keepAliveTimeout: '90s', drainTimeout: '1d', streamKeepAlive: '250ms' }
  t.like(resolveOptions({ flags }), { keepAliveTimeout: 90_000, drainTimeout: 86_400_000, streamKeepAlive: 250 })
  t.is(resolveOptions({ flags: { streamKeepAlive: 'none' } }).streamKeepAlive, null)
  refused(t, { flags: { keepAliveTimeout: '25h' } }, '--keep-alive-timeout', '1d')
  refused(t, { flags: { drainTimeout: 'none' } }, '--drain-timeout')
  refused(t, { flags: { streamKeepAlive: '0s' } }, '--stream-keep-alive')
})

test('lists come from repeated flags, commas and TOML arrays', (t) => {
  const hosts = (allowedHosts: unknown) => resolveOptions({ flags: { allowedHosts } }).allowedHosts
  t.deepEqual(hosts(['A.example', 'b.example,10.0.0.1']), ['a.example', 'b.example', '10.0.0.1'])
  t.deepEqual(hosts('a.example, ::1'), ['a.example', '::1'])
  t.deepEqual(hosts('.A.example,*.b.example,c.example.'), ['.a.example', '*.b.example', 'c.example'])
  for (const wrong of ['*', 'a b', 'http://x', 'x:80', '', '*.', 'a.*', '*.10.0.0.1', '.[::1]', '**.a.example', 'a*.example']) refused(t, { flags: { allowedHosts: wrong } }, '--allowed-hosts')
  t.deepEqual(resolveOptions({ flags: { corsOrigin: 'https://A.example/' } }).corsOrigin, ['https://a.example'])
  const apps = ['chrome-extension://abcdef', 'moz-extension://2b1f-9c', 'vscode-webview://*', 'app://obsidian.md', 'tauri://localhost', 'localhost']
  t.deepEqual(resolveOptions({ flags: { corsOrigin: apps.join(',') } }).corsOrigin, apps)
  t.deepEqual(resolveOptions({ flags: { corsOrigin: 'Tauri://localhost/' } }).corsOrigin, ['tauri://localhost'])
  const noOrigins = ['*', 'a.example', 'https://a.example/x', 'https://*', 'null', 'file:///x', 'file://*', 'data://x', 'app://', 'app://a/b', 'app://a?b', '*://a']
  for (const wrong of noOrigins) refused(t, { flags: { corsOrigin: wrong } }, '--cors-origin')
})

test('an address that others can reach needs to be allowed', (t) => {
  for (const host of ['0.0.0.0', '::', '192.168.0.1', 'box.example']) {
    refused(t, { flags: { host } }, '--host', '--allow-unauthenticated')
    t.is(resolveOptions({ flags: { host, allowUnauthenticated: true } }).host, host)
  }
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '::1', '[::1]']) t.notThrows(() => resolveOptions({ flags: { host } }))
})

test('a server takes every policy that it can run', (t) => {
  t.deepEqual([...SERVER_POLICIES], [...policyNames])
  for (const policy of policyNames) t.is(resolveOptions({ flags: { policy } }).policy, policy)
})

test('belady is a bound, not a policy', (t) => {
  refused(t, { flags: { policy: 'belady' } }, '--policy', 'bound')
  refused(t, { flags: { policy: 'newest' } }, '--policy', 'adaptive')
})

test('options that contradict each other are refused', (t) => {
  refused(t, { flags: { profile: 'cpu-2' } }, '--profile', 'simulated')
  refused(t, { flags: { noPreload: true, preloadLayers: '2' } }, '--preload-layers', '--no-preload')
})

test('switches of the environment and of TOML can be off', (t) => {
  t.is(resolveOptions({ env: { ATTENTIONSTORE_NO_REUSE: '1' } }).noReuse, true)
  t.is(resolveOptions({ env: { ATTENTIONSTORE_NO_REUSE: 'false' } }).noReuse, false)
  t.is(resolveOptions({ file: values({ 'sync-save': true }) }).syncSave, true)
})

test('a configuration file is TOML, and what is not says where', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-config-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'server.toml')
  writeFileSync(path, 'port = 1234\nssd-bytes = "2GiB"\nallowed-hosts = ["a.example"]\nno-reuse = true\n')
  t.like(resolveOptions({ file: readConfigFile(path) }), { port: 1234, ssdBytes: 2 ** 31, allowedHosts: ['a.example'], noReuse: true })
  writeFileSync(path, 'port = 1\nport = = 2\n')
  t.like(t.throws(() => readConfigFile(path), { instanceOf: ExitError }), { exitCode: 2 })
  t.regex(t.throws(() => readConfigFile(path))?.message ?? '', /line 2/)
  t.like(t.throws(() => readConfigFile(join(folder, 'none.toml')), { instanceOf: ExitError }), { exitCode: 2 })
})

test('variables are named after the flags', (t) => {
  t.is(variable('hbmBytes'), 'ATTENTIONSTORE_HBM_BYTES')
  t.is(variable('noReuse'), 'ATTENTIONSTORE_NO_REUSE')
})

test('random weights stand in place of a model, and only where something is computed', (t) => {
  t.is(resolveOptions({ flags: { randomWeights: 'mistral-7b' } }).randomWeights, 'mistral-7b')
  refused(t, { flags: { randomWeights: 'mistral-7b', model: 'x' } }, '--random-weights', '--model')
  refused(t, { flags: { randomWeights: 'mistral-7b', device: 'simulated' } }, '--random-weights', 'simulated')
  refused(t, { flags: { randomWeights: ' ' } }, '--random-weights')
})
