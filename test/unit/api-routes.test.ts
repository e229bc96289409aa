// The routes beside the two that generate.

import test from 'ava'
import { openApiPath } from '../../ts/api/openapi.js'
import { ApiError } from '../../ts/protocol/errors.js'
import { openTestApi } from './support/api.js'

async function openJson(t: { teardown: (close: () => Promise<void>) => void }) {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const get = async (path: string) => (await fetch(api.url + path)).json() as Promise<unknown>
  const post = async (path: string, body: unknown) => (await api.post(path, body)).json() as Promise<unknown>
  return { api, get, post }
}

const SAMPLING = {
  temperature: { value: 0.6, source: 'model' },
  top_p: { value: 0.95, source: 'model' },
  top_k: { value: 0, source: 'openai' },
  min_p: { value: 0, source: 'openai' },
  repetition_penalty: { value: 1, source: 'openai' },
  presence_penalty: { value: 0, source: 'openai' },
  frequency_penalty: { value: 0, source: 'openai' },
}

const MODEL = {
  object: 'model',
  created: 1,
  owned_by: 'attentionstore',
  max_model_len: 2048,
  default_sampling: { temperature: 0.6, top_p: 0.95, top_k: 0, min_p: 0, repetition_penalty: 1, presence_penalty: 0, frequency_penalty: 0 },
  generation_defaults: { api: SAMPLING, chat: { ...SAMPLING, max_tokens: { value: 1024, source: 'server' } } },
}

test('the model is listed under each name with its longest context and the sampling of requests that ask for none', async (t) => {
  const { api } = await openJson(t)
  const { data } = await api.client.models.list()
  t.deepEqual(data.map((model) => ({ ...model })) as unknown[], ['fake-model', 'org/other-name'].map((id) => ({ id, ...MODEL })))
})

test('a model is found by each of its names, with its slashes encoded or not, and another one is not', async (t) => {
  const { api, get } = await openJson(t)
  t.deepEqual({ ...(await api.client.models.retrieve('fake-model')) } as unknown, { id: 'fake-model', ...MODEL })
  t.is((await api.client.models.retrieve('org/other-name')).id, 'org/other-name')
  t.like(await get('/v1/models/org/other-name'), { id: 'org/other-name' })
  t.like(await get('/v1/models/org%2Fother-name'), { id: 'org/other-name' })
  for (const name of ['gpt-4', 'org', 'org/other-name/more', 'fake-model%00']) {
    const response = await fetch(`${api.url}/v1/models/${name}`)
    t.is(response.status, 404, name)
    t.like(await response.json(), { error: { code: 'model_not_found', param: 'model' } }, name)
  }
  t.is((await fetch(`${api.url}/v1/models/%zz`)).status, 400)
})

test('the log names the route of a model, not the name that was asked for', async (t) => {
  const { api } = await openJson(t)
  await (await fetch(`${api.url}/v1/models/private/name`)).text()
  t.true(api.log.some((line) => line.includes('"route":"/v1/models/*id"')))
  t.false(api.log.some((line) => line.includes('private')))
})

test('a text is tokenised with special tokens unless they are unwanted', async (t) => {
  const { post } = await openJson(t)
  t.deepEqual(await post('/tokenize', { prompt: 'ab' }), { count: 3, max_model_len: 2048, tokens: [256, 97, 98], token_strs: null })
  t.deepEqual(await post('/tokenize', { prompt: 'ab', add_special_tokens: false, return_token_strs: true }), {
    count: 2,
    max_model_len: 2048,
    tokens: [97, 98],
    token_strs: ['a', 'b'],
  })
})

test('messages are tokenised as the template renders them', async (t) => {
  const { post } = await openJson(t)
  const reply = await post('/tokenize', { messages: [{ role: 'developer', content: 'x' }] })
  t.deepEqual(reply, { count: 9, max_model_len: 2048, tokens: [...Buffer.from('<system>x')], token_strs: null })
})

test('messages are tokenised with the tools, template arguments and ending that the body names', async (t) => {
  const { api } = await openJson(t)
  const { chats } = api.service
  const parameters = { type: 'object', properties: { city: { type: 'string' } } }
  const messages = [
    { role: 'user', content: 'x' },
    { role: 'assistant', content: null, reasoning_content: 'r', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"city": 1}' } }] },
    { role: 'tool', tool_call_id: 'c', content: 'y' },
  ]
  const body = { messages, tools: [{ type: 'function', function: { name: 'f', parameters } }], chat_template_kwargs: { enable_thinking: false } }
  t.is((await api.post('/tokenize', body)).status, 200)
  t.like(chats[0], {
    tools: { definitions: [{ name: 'f', parameters }] },
    templateArguments: { enable_thinking: false },
    ending: 'answer',
    messages: [{ role: 'user', content: 'x' }, { role: 'assistant', content: '', reasoning: 'r', toolCalls: [{ id: 'c', name: 'f', arguments: '{"city": 1}' }] }, { role: 'tool', content: 'y', toolCallId: 'c' }],
  })
  await api.post('/tokenize', { messages, add_generation_prompt: false })
  const begun = messages.slice(0, 1).concat({ role: 'assistant', content: 'Once' })
  await api.post('/tokenize', { messages: begun, add_generation_prompt: false, continue_final_message: true })
  t.deepEqual(chats.slice(1).map(({ ending }) => ending), ['closed', 'open'])
  const refused = await api.post('/tokenize', { messages, continue_final_message: true })
  t.like(await refused.json(), { error: { code: 'invalid_value', param: 'continue_final_message' } })
})

test('tokens are turned back into text, and foreign ones refused', async (t) => {
  const { post } = await openJson(t)
  t.deepEqual(await post('/detokenize', { tokens: [104, 105] }), { prompt: 'hi' })
  t.like(await post('/detokenize', { tokens: [512] }), { error: { code: 'invalid_value', param: 'tokens' } })
})

test('the server is alive until it ends, and ready until it drains', async (t) => {
  const { api, get } = await openJson(t)
  t.deepEqual(await get('/health'), { status: 'ok' })
  t.deepEqual(await get('/ready'), { status: 'ready', disks: { ssd: 'full' } })
  api.service.ready = false
  t.deepEqual(await get('/health'), { status: 'ok' })
  const response = await fetch(`${api.url}/ready`)
  t.is(response.status, 503)
  t.like(await response.json(), { error: { code: 'draining' } })
})

test('how each disk fares is told with its reason to admins alone; a probe gets the states', async (t) => {
  const { get, api } = await openJson(t)
  t.deepEqual(await get('/admin/disks'), {
    disks: [
      { place: 'log', state: 'ok', reason: null, since_ms: 1000, lost_lines: 7 },
      { place: 'ssd', state: 'full', reason: '/secret/place: no space left', since_ms: 2000 },
    ],
  })
  for (const path of ['/ready', '/metrics']) {
    const text = await (await fetch(api.url + path)).text()
    t.false(text.includes('/secret/place'), path)
    t.true(text.includes('full'), path)
  }
})

test('a server whose engine has ended is neither alive nor ready, and says why', async (t) => {
  const { api } = await openJson(t)
  const message = 'The engine stopped: the device is gone (device_lost)'
  api.service.failure = new ApiError('engine_error', message, null, { engine_code: 'device_lost' })
  api.service.ready = false
  for (const path of ['/health', '/ready']) {
    const response = await fetch(api.url + path)
    t.is(response.status, 503, path)
    t.is(response.headers.get('retry-after'), null, path)
    t.deepEqual(await response.json(), { error: { message, type: 'server_error', param: null, code: 'engine_stopped' } }, path)
  }
})

test('the log has no line at its usual level for each request that the end of the engine failed', async (t) => {
  const { api } = await openJson(t)
  const failure = new ApiError('engine_error', 'The engine stopped: the device is gone (device_lost)', null, { engine_code: 'device_lost' })
  api.service.answer = () => failure
  const errors = () => api.log.filter((line) => /"level":"(error|fatal)"/.test(line)).length
  t.is((await api.post('/v1/completions', { prompt: 'x' })).status, 500)
  t.is(errors(), 1)
  api.service.failure = failure
  t.is((await api.post('/v1/completions', { prompt: 'x' })).status, 500)
  t.is(errors(), 1)
})

test('the cache shows its tiers', async (t) => {
  const { get } = await openJson(t)
  const tier = { capacity_bytes: 2000, used_bytes: 200, capacity_blocks: 20, blocks: { total: 2, running: 1, cached: 1 }, hit_tokens: 2 }
  t.like(await get('/admin/cache'), { tiers: [{ name: 'hbm', medium: 'arena', ...tier }, { name: 'dram' }], policy: 'lru', io_engine: 'none' })
})

test('copies are demoted and blocks removed, with receipts', async (t) => {
  const { api, post } = await openJson(t)
  t.deepEqual(await post('/admin/cache/demote', { to: 'dram' }), { demoted_blocks: 4, skipped_in_use: 2 })
  t.deepEqual(api.service.demoted, ['dram'])
  t.deepEqual(await post('/admin/cache/reset', {}), { removed_blocks: 9, skipped_in_use: 1 })
  t.is((await api.post('/admin/cache/demote', { to: 'ssd' })).status, 409)
  t.is((await api.post('/admin/cache/demote', { to: 'hbm' })).status, 400)
})

interface Operation {
  readonly requestBody?: { content: Record<string, { schema: { $ref: string } }> }
  readonly responses: Record<string, { content?: Record<string, unknown> }>
}

test('the OpenAPI document describes every route from the schemas that validate', async (t) => {
  const { api, get } = await openJson(t)
  const document = (await get('/openapi.json')) as {
    openapi: string
    paths: Record<string, Record<string, Operation>>
    components: { schemas: Record<string, { properties?: Record<string, unknown> }> }
  }
  t.is(document.openapi, '3.1.0')
  const { ROUTES } = await import('../../ts/api/routes.js')
  t.is(Object.values(document.paths).flatMap(Object.keys).length, ROUTES.length)
  for (const { method, path } of ROUTES) t.truthy(document.paths[openApiPath(path)]?.[method], `${method} ${path}`)
  const chat = document.paths['/v1/chat/completions']?.['post']
  t.is(chat?.requestBody?.content['application/json']?.schema.$ref, '#/components/schemas/ChatCompletionRequest')
  t.deepEqual(Object.keys(chat?.responses['200']?.content ?? {}), ['application/json', 'text/event-stream'])
  const properties = Object.keys(document.components.schemas['ChatCompletionRequest']?.properties ?? {})
  for (const field of ['messages', 'cache_salt', 'conversation', 'min_p', 'ignore_eos', 'truncation']) t.true(properties.includes(field), field)
  t.is((await fetch(`${api.url}/openapi.json`)).headers.get('content-type'), 'application/json; charset=utf-8')
})
