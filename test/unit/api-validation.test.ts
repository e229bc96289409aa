import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { NATIVE_CODES, type EngineCause, type EngineCode } from '../../ts/protocol/engine-codes.js'
import { EngineError } from '../../ts/protocol/errors.js'
import { errorOf, openTestApi, rawRequest, type TestApi } from './support/api.js'

const HELLO = [{ role: 'user', content: 'Hi' }]
const CHAT = '/v1/chat/completions'

test('errorBody is the only way error text leaves the server', (t) => {
  const root = join(import.meta.dirname, '../../ts')
  const files = ['api', 'surfaces'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter((name) => name.endsWith('.ts') && !/(^api|^surfaces\/[\w-]+)\/(schemas\/error|errors)\.ts$/.test(name)),
  )
  t.true(files.length > 40)
  for (const name of files) {
    const source = readFileSync(join(root, name), 'utf8')
    t.notRegex(source, /\berror\s*:\s*[{'"`]|['"]error['"]:/, `${name} makes an error body of its own; use errorBody()`)
    t.notRegex(source, /sendStatus\(|\.status\((?!204\)|statusOf\()/, `${name} sets a status of its own; throw an ApiError`)
  }
})

test('a wrong value is refused with the path of its field', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const cases: ReadonlyArray<readonly [param: string, body: object]> = [
    ['messages', {}],
    ['messages', { messages: [] }],
    ['messages.0.role', { messages: [{ role: 'critic', content: 'x' }] }],
    ['messages.0.content', { messages: [{ role: 'user', content: null }] }],
    ['messages.1.content.0.type', { messages: [...HELLO, { role: 'user', content: [{ type: 'thinking', thinking: 'x' }] }] }],
    ['prompt_cache_retention', { messages: HELLO, prompt_cache_retention: 'for ever' }],
    ['temperature', { messages: HELLO, temperature: -1 }],
    ['temperature', { messages: HELLO, temperature: '1' }],
    ['top_p', { messages: HELLO, top_p: 0 }],
    ['min_p', { messages: HELLO, min_p: 2 }],
    ['repetition_penalty', { messages: HELLO, repetition_penalty: 0 }],
    ['presence_penalty', { messages: HELLO, presence_penalty: 3 }],
    ['max_tokens', { messages: HELLO, max_tokens: 0 }],
    ['max_tokens', { messages: HELLO, max_tokens: -1 }],
    ['max_completion_tokens', { messages: HELLO, max_completion_tokens: 1.5 }],
    ['top_logprobs', { messages: HELLO, logprobs: true, top_logprobs: 21 }],
    ['top_logprobs', { messages: HELLO, top_logprobs: 2 }],
    ['stop', { messages: HELLO, stop: '' }],
    ['stop', { messages: HELLO, stop: Array.from({ length: 17 }, String) }],
    ['stop_token_ids', { messages: HELLO, stop_token_ids: [512] }],
    ['logit_bias.x', { messages: HELLO, logit_bias: { x: 1 } }],
    ['logit_bias', { messages: HELLO, logit_bias: { 512: 1 } }],
    ['conversation', { messages: HELLO, conversation: 'has spaces' }],
    ['conversation', { messages: HELLO, conversation: 'x'.repeat(129) }],
    ['cache_salt', { messages: HELLO, cache_salt: 5 }],
    ['truncation', { messages: HELLO, truncation: 'sometimes' }],
    ['stream', { messages: HELLO, stream: 'yes' }],
    ['seed', { messages: HELLO, seed: 2 ** 60 }],
  ]
  for (const [param, body] of cases) {
    t.deepEqual(await errorOf(await api.post(CHAT, body)), { status: 400, code: 'invalid_value', param }, JSON.stringify(body))
  }
  const expected = { status: 400, code: 'invalid_value', param: 'prompt' }
  for (const prompt of [undefined, '', [], [[]], [512], [['x']], [1, 'x']]) {
    const { status, code, param } = await errorOf(await api.post('/v1/completions', { prompt }))
    t.deepEqual({ status, code, param: param?.split('.')[0] }, expected, JSON.stringify(prompt))
  }
})

test('lists that cannot be right are refused before they are walked through', async (t) => {
  const api = await openTestApi({ maxBodyBytes: 8 * 2 ** 20 })
  t.teardown(() => api.close())
  const refusal = async (path: string, body: unknown) => {
    const { code, param } = await errorOf(await api.post(path, body))
    return [code, param]
  }
  const items = (length: number, item: unknown) => Array.from({ length }, () => item)
  const tooLong = 'context_length_exceeded'
  t.deepEqual(await refusal('/v1/completions', { prompt: items(2048, 1) }), [tooLong, 'prompt'])
  t.deepEqual(await refusal('/v1/completions', { prompt: [items(3000, 1)] }), [tooLong, 'prompt'])
  t.deepEqual(await refusal('/v1/completions', { prompt: items(65, 'x') }), ['invalid_value', 'prompt'])
  t.deepEqual(await refusal(CHAT, { messages: items(2048, HELLO[0]) }), [tooLong, 'messages'])
  t.deepEqual(await refusal(CHAT, { messages: HELLO, stop: items(1e6, 'x') }), ['invalid_value', 'stop'])
  t.deepEqual(await refusal('/detokenize', { tokens: items(200_000, 1) }), ['invalid_value', 'tokens'])
  const biases = Object.fromEntries(Array.from({ length: 2000 }, (_, token) => [token, 1]))
  t.deepEqual(await refusal(CHAT, { messages: HELLO, logit_bias: biases }), ['invalid_value', 'logit_bias'])
})

test('lists longer than the context are taken where truncation is asked for, up to a bound', async (t) => {
  const api = await openTestApi({ maxBodyBytes: 8 * 2 ** 20 })
  t.teardown(() => api.close())
  const tokens = (length: number) => Array.from({ length }, () => 1)
  const truncation = 'auto'
  t.is((await api.post('/v1/completions', { prompt: tokens(3000), truncation })).status, 200)
  t.is((await api.post('/v1/completions', { prompt: [tokens(3000)], truncation })).status, 200)
  t.is((await api.post(CHAT, { messages: Array.from({ length: 2048 }, () => HELLO[0]), truncation })).status, 200)
  const { status, code } = await errorOf(await api.post('/v1/completions', { prompt: tokens(131_073), truncation }))
  t.deepEqual([status, code], [400, 'context_length_exceeded'])
})

test('what the engine says of a request is the client\'s error, in its own sentence and naming the field', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const answered = async (code: EngineCode, message: string) => {
    api.service.answer = () => [new EngineError(code, message, { detail: 'x' })]
    const response = await api.post(CHAT, { messages: HELLO })
    return [response.status, ((await response.json()) as { error: unknown }).error]
  }
  const sentence = 'the chat template refuses this conversation: Conversation roles must alternate'
  const expected = { message: `messages: ${sentence}`, type: 'invalid_request_error', param: 'messages', code: 'invalid_value' }
  t.deepEqual(await answered('template_refused', sentence), [400, expected])
  for (const [code, cause] of Object.entries(NATIVE_CODES) as ReadonlyArray<[EngineCode, EngineCause]>) {
    const [status, error] = await answered(code, 'the reason')
    if (typeof cause === 'object') t.like(error, { code: 'invalid_value', param: cause.field, message: `${cause.field}: the reason` }, code)
    else t.like(error, { code: 'engine_error', message: `The server failed to answer (${code}). Its log has the reason.` }, code)
    t.is(status, typeof cause === 'object' ? 400 : 500, code)
  }
})

test('a model of another name is not found', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const expected = { status: 404, code: 'model_not_found', param: 'model' }
  t.deepEqual(await errorOf(await api.post(CHAT, { model: 'gpt-4', messages: HELLO })), expected)
  t.is((await api.post(CHAT, { model: 'org/other-name', messages: HELLO })).status, 200)
})

test('an unknown route is not found', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const expected = { status: 404, code: 'not_found', param: null }
  t.deepEqual(await errorOf(await fetch(`${api.url}/v2`)), expected)
  t.deepEqual(await errorOf(await api.post('/v1/model', {})), expected)
})

test('a body that is not JSON is refused', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const send = (body: string, headers = {}) => rawRequest(api.url + CHAT, 'POST', { 'content-type': 'application/json', ...headers }, body)
  const depth = 20_000
  for (const body of ['', '{', 'null', '"x"', '[1]', `${'['.repeat(depth)}${']'.repeat(depth)}`]) {
    t.is((await send(body)).status, 400, body.slice(0, 10))
  }
  t.is((await send('{}', { 'content-encoding': 'snappy' })).status, 400)
  t.is((await send('{}', { 'content-type': 'application/json; charset=utf-7' })).status, 400)
})

test('a value of any depth is refused with its field, or passed over where nothing reads it', async (t) => {
  const api = await openTestApi({ maxBodyBytes: 2 ** 20 })
  t.teardown(() => api.close())
  const depth = 20_000
  const deep = `${'{"a":'.repeat(depth / 2)}${'['.repeat(depth / 2)}${']'.repeat(depth / 2)}${'}'.repeat(depth / 2)}`
  const send = async (fields: string) => {
    const { status, body } = await rawRequest(api.url + CHAT, 'POST', { 'content-type': 'application/json' }, `{"messages":[{"role":"user","content":"x"}],${fields}}`)
    return [status, (JSON.parse(body) as { error?: { param: string } }).error?.param]
  }
  t.deepEqual(await send(`"tools":[{"type":"function","function":{"name":"a","parameters":${deep}}}]`), [400, 'tools.0.function.parameters'])
  t.deepEqual(await send(`"json_schema":${deep}`), [400, 'json_schema'])
  t.deepEqual(await send(`"chat_template_kwargs":${deep}`), [400, 'chat_template_kwargs'])
  t.deepEqual(await send(`"tool_choice":${deep}`), [400, 'tool_choice.type'])
  t.deepEqual(await send(`"audio":${deep}`), [400, 'audio'])
  t.deepEqual(await send(`"metadata":${deep},"typo":${deep}`), [200, undefined])
})

test('JSON is never merged into objects', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const polluting = '{"messages":[{"role":"user","content":"x","__proto__":{"polluted":1}}],"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'
  const headers = { 'content-type': 'application/json' }
  t.is((await rawRequest(api.url + CHAT, 'POST', headers, polluting)).status, 200)
  const biased = '{"messages":[{"role":"user","content":"x"}],"logit_bias":{"__proto__":{"polluted":1}}}'
  await rawRequest(api.url + CHAT, 'POST', headers, biased)
  t.is(({} as Record<string, unknown>)['polluted'], undefined)
  t.deepEqual(api.service.turns.at(-1)?.request.sampling.logitBias, [])
})

const FIELDS = [
  'messages', 'prompt', 'model', 'stream', 'stream_options', 'temperature', 'top_p', 'top_k', 'min_p', 'logit_bias', 'seed',
  'stop', 'logprobs', 'top_logprobs', 'conversation', 'cache_salt', 'tokens', 'to', 'n', 'tools', 'truncation', 'max_tokens',
  'tool_choice', 'functions', 'function_call', 'response_format', 'structured_outputs', 'guided_json', 'guided_choice', 'json_schema', 'grammar',
  'chat_template_kwargs', 'reasoning_effort',
] as const

const message = fc.record(
  { role: fc.oneof(fc.constantFrom('user', 'assistant', 'system'), fc.jsonValue()), content: fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()) },
  { requiredKeys: [] },
)
const value = fc.oneof(fc.jsonValue(), fc.array(message), fc.array(fc.integer({ min: -1, max: 600 })), fc.double(), fc.boolean())
const body = fc.oneof(
  { weight: 4, arbitrary: fc.dictionary(fc.constantFrom(...FIELDS), value) },
  { weight: 1, arbitrary: fc.record({ messages: fc.array(message, { minLength: 1 }) }) },
  { weight: 1, arbitrary: fc.jsonValue() },
)

/** Arbitrary JSON at every route that takes a body: answered or refused, never a failure of the server. */
async function neverFails(api: TestApi, path: string, input: unknown): Promise<void> {
  const response = await api.post(path, input)
  const text = await response.text()
  if (response.status === 200 || (response.status >= 400 && response.status < 500)) return
  throw new Error(`status ${response.status}: ${text}`)
}

test('arbitrary JSON never makes the server fail', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const seed = Number(process.env['FUZZ_SEED'] ?? 20_240_319)
  t.log(`seed ${seed}`)
  const paths = fc.constantFrom(CHAT, '/v1/completions', '/tokenize', '/detokenize', '/admin/cache/demote', '/admin/cache/reset')
  await t.notThrowsAsync(fc.assert(fc.asyncProperty(paths, body, (path, input) => neverFails(api, path, input)), { seed, numRuns: 400 }))
})
