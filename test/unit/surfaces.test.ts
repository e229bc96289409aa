// A second surface beside OpenAI's: what it shares with the first, and what is its own.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { SURFACES } from '../../ts/api/surfaces.js'
import { AccessControl } from '../../ts/auth/access-control.js'
import { appendKey } from '../../ts/auth/key-file.js'
import { keyHash, Keyring, newKey } from '../../ts/auth/keyring.js'
import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { ApiError } from '../../ts/protocol/errors.js'
import { createInferenceService } from '../../ts/service/service.js'
import { TELEGRAMS, telegraph } from '../support/telegraph.js'
import { openApiOver, openTestApi, rawRequest } from './support/api.js'
import { delta, done } from './support/fake-service.js'

const surfaces = [...SURFACES, telegraph]
const CHAT = '/v1/chat/completions'
const HELLO = { dispatches: [{ from: 'caller', words: ['Hi'] }] }

interface Receipt {
  readonly words: string
  readonly ending: string
  readonly conversation: string
  readonly reused: number
}

test('turns of two wire formats are one conversation: the second computes nothing that the first has computed', async (t) => {
  const engine = new SimulatedEngine({ slots: { hbm: 64, dram: 128, ssd: 256 } })
  const service = createInferenceService(engine)
  const api = await openApiOver(service, engine, { surfaces })
  t.teardown(async () => {
    await api.close()
    await service.close(0)
    await engine.close()
  })
  const question = ['Say at length ', 'what the harbour is like ', 'in the early morning. '.repeat(12)]
  const send = async (dispatches: unknown[]) => (await (await api.post(TELEGRAMS, { dispatches, most: 8 })).json()) as Receipt
  const asked = { from: 'caller', words: question }
  const first = await send([asked])
  t.deepEqual([first.ending, first.reused], ['cut short', 0])
  const again = { role: 'user', content: question.join('') }
  const thread = [again, { role: 'assistant', content: first.words }, { role: 'user', content: 'Go on.' }]
  const response = await api.post(CHAT, { messages: thread, temperature: 0, seed: 1, max_tokens: 8 })
  t.is(response.headers.get('x-conversation-id'), first.conversation)
  const { choices, usage } = (await response.json()) as {
    choices: Array<{ message: { content: string }; finish_reason: string }>
    usage: { prompt_tokens_details: { cached_tokens: number }; prompt_tokens: number }
  }
  t.true(usage.prompt_tokens_details.cached_tokens > 64, `${usage.prompt_tokens_details.cached_tokens} of ${usage.prompt_tokens} tokens`)
  t.is(choices[0]?.finish_reason, 'length')
  const third = await send([asked, { from: 'station', words: [first.words] }, { from: 'caller', words: ['Go ', 'on.'] }])
  t.is(third.words, choices[0]?.message.content ?? '', 'the same turn, whichever way it was asked')
  t.true(third.reused > usage.prompt_tokens_details.cached_tokens)
})

test('a message of parts is asked for as it came, and OpenAI’s stays one text', async (t) => {
  const api = await openTestApi({ surfaces })
  t.teardown(() => api.close())
  await api.post(TELEGRAMS, { dispatches: [{ from: 'caller', words: ['one ', 'two\ud800'] }] })
  t.deepEqual(api.service.lastRequest.prompt, {
    kind: 'chat',
    messages: [{ role: 'user', content: [{ kind: 'text', text: 'one ' }, { kind: 'text', text: 'two\uFFFD' }] }],
  })
  await api.post(CHAT, { messages: [{ role: 'user', content: 'one two' }] })
  t.deepEqual(api.service.lastRequest.prompt, { kind: 'chat', messages: [{ role: 'user', content: 'one two' }] })
})

test('a stream is written in the words of its surface, from the first event to the last', async (t) => {
  const api = await openTestApi({ surfaces })
  t.teardown(() => api.close())
  const live = await api.post(TELEGRAMS, { ...HELLO, live: true })
  t.is(live.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  const text = await live.text()
  const [last, over] = ['event: ending\ndata: "said all"\n\n', 'event: over\ndata: null\n\n']
  t.true(text.startsWith('event: words\ndata: "Hello"\n\n') && text.endsWith(last + over), text)
  const chat = await (await api.post(CHAT, { messages: [{ role: 'user', content: 'Hi' }], stream: true })).text()
  t.true(chat.startsWith('data: {"id":"chatcmpl-') && chat.endsWith('data: [DONE]\n\n'), chat)
})

test('while no token comes, each surface gives its own sign of life', async (t) => {
  const api = await openTestApi({ surfaces, stream: { keepAliveMs: 1 } })
  t.teardown(() => api.close())
  api.service.answer = () => []
  const started = api.service.nextTurn()
  const response = await api.post(TELEGRAMS, { ...HELLO, live: true })
  const turn = await started
  let text = ''
  for await (const piece of (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
    text += piece
    if (text.includes('event: hum\ndata: null\n\nevent: hum\ndata: null\n\n')) turn.push(done())
  }
  t.true(text.endsWith('event: over\ndata: null\n\n'))
  t.false(text.includes('keep-alive'))
})

test('a failure after the first event is told in the shape of the surface, in the place of its end', async (t) => {
  const api = await openTestApi({ surfaces })
  t.teardown(() => api.close())
  api.service.answer = () => [delta('Hel'), new ApiError('draining', 'the server is shutting down')]
  const text = await (await api.post(TELEGRAMS, { ...HELLO, live: true })).text()
  const trouble = { trouble: 'draining', hint: 'the server is shutting down', status: 503 }
  t.true(text.endsWith(`event: trouble\ndata: ${JSON.stringify(trouble)}\n\n`), text)
})

test('whatever refuses a request says so in the shape of the surface that its path belongs to', async (t) => {
  const api = await openTestApi({ surfaces })
  t.teardown(() => api.close())
  const sent = (path: string, headers: Record<string, string>, body = '{}') =>
    rawRequest(api.url + path, 'POST', { 'content-type': 'application/json', ...headers }, body)
  const troubles = [
    { status: 421, code: 'misdirected', reply: await sent(TELEGRAMS, { host: 'elsewhere.test' }) },
    { status: 403, code: 'forbidden', reply: await sent(TELEGRAMS, { origin: 'http://elsewhere.test' }) },
    { status: 413, code: 'body_too_large', reply: await sent(TELEGRAMS, {}, JSON.stringify('x'.repeat(70_000))) },
    { status: 400, code: 'invalid_value', reply: await sent(TELEGRAMS, {}, '{') },
    { status: 400, code: 'invalid_value', reply: await sent(TELEGRAMS, {}) },
    { status: 404, code: 'model_not_found', reply: await sent(TELEGRAMS, {}, JSON.stringify({ ...HELLO, line: 'other' })) },
    { status: 405, code: 'method_not_allowed', reply: await rawRequest(api.url + TELEGRAMS, 'GET') },
  ]
  for (const { status, code, reply } of troubles) {
    const body = JSON.parse(reply.body) as Record<string, unknown>
    t.deepEqual([reply.status, body['trouble'], body['status']], [status, code, status], reply.body)
    t.is(body['error'], undefined)
  }
  for (const path of [CHAT, '/admin/cache/reset', '/telegraph/elsewhere']) {
    const reply = await sent(path, { host: 'elsewhere.test' })
    t.like(JSON.parse(reply.body), { error: { code: 'misdirected', type: 'invalid_request_error' } }, path)
  }
})

test('a reason to end that a wire format has no word for gets the word that is nearest', async (t) => {
  const api = await openTestApi({ surfaces })
  t.teardown(() => api.close())
  api.service.answer = () => [delta('{'), done({ finish: 'none_allowed' })]
  const post = async (path: string, body: unknown) => (await api.post(path, body)).text()
  const messages = [{ role: 'user', content: 'Hi' }]
  for (const [path, body] of [[CHAT, { messages }], ['/v1/completions', { prompt: 'Hi' }]] as const) {
    t.regex(await post(path, body), /"finish_reason":"stop","stop_reason":null/, path)
    t.regex(await post(path, { ...body, stream: true }), /"finish_reason":"stop","stop_reason":null/, path)
  }
  t.regex(await post(TELEGRAMS, HELLO), /"ending":"ended by none_allowed"/)
})

test('a route of a surface asks for an API key where the server has keys, and a turn belongs to the tenant of the key', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-surfaces-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [path, key] = [join(folder, 'keys.jsonl'), newKey()]
  appendKey(path, { id: 'id', name: 'name', tenant: 'acme', sha256: keyHash(key).toString('hex'), created: '2026-03-01T00:00:00Z' })
  const auth = new AccessControl({ apiKeys: new Keyring(path), adminKeys: null, isLoopback: true, now: () => 0 })
  const api = await openTestApi({ surfaces }, {}, auth)
  t.teardown(() => api.close())
  const refused = await api.post(TELEGRAMS, HELLO)
  t.like(await refused.json(), { trouble: 'invalid_api_key', status: 401 })
  t.is(refused.headers.get('www-authenticate'), 'Bearer realm="attentionstore"')
  t.is((await api.post(TELEGRAMS, HELLO, { authorization: `Bearer ${key}` })).status, 200)
  t.is(api.service.lastRequest.tenant, 'acme')
})

test('the OpenAPI document describes the routes of each surface with its own errors', async (t) => {
  const api = await openTestApi({ surfaces })
  t.teardown(() => api.close())
  const { paths } = (await (await fetch(`${api.url}/openapi.json`)).json()) as {
    paths: Record<string, { post?: { responses: { default: { content: Record<string, { schema: { $ref: string } }> } } } }>
  }
  const errorsOf = (path: string) => paths[path]?.post?.responses.default.content['application/json']?.schema.$ref
  t.is(errorsOf(TELEGRAMS), '#/components/schemas/TelegraphTrouble')
  t.is(errorsOf(CHAT), '#/components/schemas/Error')
  t.is(errorsOf('/admin/cache/reset'), '#/components/schemas/Error')
})
