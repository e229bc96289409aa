// POST /v1/messages: the neutral turn that each field becomes, and what is refused by name.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Anthropic from '@anthropic-ai/sdk'
import test from 'ava'
import { AccessControl } from '../../../ts/auth/access-control.js'
import { appendKey } from '../../../ts/auth/key-file.js'
import { keyHash, Keyring, newKey } from '../../../ts/auth/keyring.js'
import { ApiError } from '../../../ts/protocol/errors.js'
import type { TurnMessage, TurnRequest } from '../../../ts/service/types.js'
import { openTestApi, rawRequest, type TestApi } from '../support/api.js'
import { anthropicClient } from '../support/scripts.js'

const MESSAGES = '/v1/messages'
const COUNT = '/v1/messages/count_tokens'
const USER = { role: 'user', content: 'Hi' }
const HELLO = { model: 'fake-model', max_tokens: 50, messages: [USER] }
const TOOL = { name: 'weather', description: 'Looks outside.', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }

async function open(t: { teardown: (close: () => Promise<void>) => void }): Promise<TestApi> {
  const api = await openTestApi()
  t.teardown(() => api.close())
  return api
}

async function asked(api: TestApi, more: object): Promise<TurnRequest> {
  const response = await api.post(MESSAGES, { ...HELLO, ...more })
  if (response.status !== 200) throw new Error(await response.text())
  return api.service.lastRequest
}

async function messagesOf(api: TestApi, more: object): Promise<readonly TurnMessage[]> {
  const { prompt } = await asked(api, more)
  return prompt.kind === 'chat' ? prompt.messages : []
}

interface Refusal {
  readonly status: number
  readonly type: string
  readonly message: string
}

async function refused(api: TestApi, more: object, path = MESSAGES): Promise<Refusal> {
  const response = await api.post(path, { ...HELLO, ...more })
  const { type, error } = (await response.json()) as { type: string; error: { type: string; message: string } }
  if (type !== 'error') throw new Error(`${JSON.stringify(more)} was not refused`)
  return { status: response.status, ...error }
}

const text = (value: string) => ({ type: 'text', text: value })
const part = (value: string) => ({ kind: 'text', text: value })

test('the system prompt comes first, as one text or as parts', async (t) => {
  const api = await open(t)
  t.deepEqual(await messagesOf(api, { system: 'Be brief.' }), [{ role: 'system', content: 'Be brief.' }, USER])
  t.deepEqual(await messagesOf(api, { system: [text('Be brief.'), text('\nBe kind.')] }), [{ role: 'system', content: 'Be brief.\nBe kind.' }, USER])
  t.deepEqual(await messagesOf(api, { system: [] }), [USER])
})

test('a billing line that changes with each request is no part of the prompt; anything else about billing is', async (t) => {
  const api = await open(t)
  const billing = 'x-anthropic-billing-header: cc_version=2.1.37; cch=a1b2c;'
  const system = { role: 'system', content: 'Be brief.' }
  t.deepEqual(await messagesOf(api, { system: [text(billing), text('Be brief.')] }), [system, USER])
  t.deepEqual(await messagesOf(api, { system: `${billing}\nBe brief.` }), [system, USER])
  t.deepEqual(await messagesOf(api, { system: [text(billing)] }), [USER])
  t.deepEqual(await messagesOf(api, { system: 'Never send x-anthropic-billing-header: x' }), [{ role: 'system', content: 'Never send x-anthropic-billing-header: x' }, USER])
})

test('a system message among the others stays in its place', async (t) => {
  const api = await open(t)
  const counter = (left: number) => ({ role: 'system', content: [text(`<total_tokens>${left} tokens left</total_tokens>`)] })
  const messages = await messagesOf(api, { system: 'Be brief.', messages: [USER, counter(100), { role: 'assistant', content: 'Hello' }, USER, counter(90)] })
  t.deepEqual(messages.map(({ role }) => role), ['system', 'user', 'system', 'assistant', 'user', 'system'])
  t.deepEqual(messages[5]?.content, [part('<total_tokens>90 tokens left</total_tokens>')])
})

test('blocks become parts, reasoning, calls and messages of tools', async (t) => {
  const api = await open(t)
  const messages = await messagesOf(api, {
    tools: [TOOL],
    messages: [
      USER,
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Which city?', signature: 'EqQBCkgIARAB' },
          { type: 'redacted_thinking', data: 'EmwKAhgB' },
          text('I look.'),
          { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Rome', days: [1, 2.5] } },
          { type: 'tool_use', id: 'toolu_2', name: 'weather', input: {} },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'toolu_1', content: 'Sunny' },
          { type: 'tool_result', tool_use_id: 'toolu_2', is_error: true, content: [text('no '), text('city')] },
          text('And '),
          text('now?'),
        ],
      },
    ],
  })
  t.deepEqual(messages.slice(1), [
    {
      role: 'assistant',
      content: [part('I look.')],
      reasoning: 'Which city?',
      toolCalls: [
        { id: 'toolu_1', name: 'weather', arguments: '{"city":"Rome","days":[1,2.5]}' },
        { id: 'toolu_2', name: 'weather', arguments: '{}' },
      ],
    },
    { role: 'tool', toolCallId: 'toolu_1', content: [part('Sunny')] },
    { role: 'tool', toolCallId: 'toolu_2', content: [part('Error: '), part('no '), part('city')] },
    { role: 'user', content: [part('And '), part('now?')] },
  ] as unknown[])
})

test('a text before a tool’s result stays before it', async (t) => {
  const api = await open(t)
  const content = [text('Here:'), { type: 'tool_result', tool_use_id: 'a' }]
  t.deepEqual((await messagesOf(api, { messages: [{ role: 'user', content }] })) as unknown[], [
    { role: 'user', content: [part('Here:')] },
    { role: 'tool', toolCallId: 'a', content: [] },
  ])
})

test('halves of surrogate pairs become U+FFFD wherever a text stands', async (t) => {
  const api = await open(t)
  const request = await asked(api, { system: 'a\ud800', messages: [{ role: 'user', content: [text('b\udc00')] }], stop_sequences: ['c\ud800'] })
  t.deepEqual(request.prompt as unknown, {
    kind: 'chat',
    messages: [{ role: 'system', content: 'a\uFFFD' }, { role: 'user', content: [part('b\uFFFD')] }],
  })
  t.deepEqual(request.stop, ['c\uFFFD'])
})

test('limits, stops and sampling are those of the request, else the model’s', async (t) => {
  const api = await open(t)
  const request = await asked(api, { temperature: 0.2, top_k: 40, top_p: 0.9, stop_sequences: ['END', '\n'], seed: 3 })
  t.like(request, { maxTokens: 50, stop: ['END', '\n'], truncation: 'disabled', ignoreEos: false })
  t.like(request.sampling, { temperature: 0.2, topK: 40, topP: 0.9, seed: 3n })
  const plain = await asked(api, { max_tokens: null })
  t.like(plain.sampling, { temperature: 0.6, topP: 0.95, topK: 0 })
  t.is(plain.maxTokens, null)
  t.is(plain.tools, undefined)
  t.is(plain.templateArguments, undefined)
})

test('tools and the choice among them', async (t) => {
  const api = await open(t)
  const definitions = [{ name: 'weather', description: 'Looks outside.', parameters: TOOL.input_schema, strict: true }]
  const tools = [{ ...TOOL, type: 'custom', strict: true, eager_input_streaming: true, defer_loading: false }]
  const cases = [
    [undefined, 'auto', true],
    [{ type: 'auto', disable_parallel_tool_use: true }, 'auto', false],
    [{ type: 'any' }, 'required', true],
    [{ type: 'tool', name: 'weather', disable_parallel_tool_use: false }, { name: 'weather' }, true],
    [{ type: 'none' }, 'none', true],
  ] as const
  for (const [tool_choice, choice, parallel] of cases) {
    t.deepEqual((await asked(api, { tools, tool_choice })).tools as unknown, { definitions, choice, parallel }, JSON.stringify(tool_choice))
  }
  t.is((await asked(api, { tools: [], tool_choice: { type: 'auto' } })).tools, undefined)
})

test('thinking and effort become variables of the template', async (t) => {
  const api = await open(t)
  const cases = [
    [{ thinking: { type: 'enabled', budget_tokens: 1024 } }, { enable_thinking: true }],
    [{ thinking: { type: 'adaptive' } }, { enable_thinking: true }],
    [{ thinking: { type: 'between_tools' } }, { enable_thinking: true }],
    [{ thinking: { type: 'disabled' } }, { enable_thinking: false }],
    [{ output_config: { effort: 'max' } }, { reasoning_effort: 'max' }],
    [{ output_config: { effort: 'low' }, thinking: { type: 'disabled' } }, { enable_thinking: false, reasoning_effort: 'low' }],
  ] as const
  for (const [fields, expected] of cases) t.deepEqual((await asked(api, fields)).templateArguments as unknown, expected, JSON.stringify(fields))
})

test('a schema of the answer is a constraint, under its name and under the earlier one', async (t) => {
  const api = await open(t)
  const schema = { type: 'object', properties: { a: { type: 'integer' } } }
  const format = { type: 'json_schema', schema }
  for (const fields of [{ output_config: { format } }, { output_format: format }]) {
    t.deepEqual((await asked(api, fields)).constraint as unknown, { kind: 'json_schema', schema })
  }
})

test('a cache marker of an hour is a wish to keep the prompt; one of five minutes is none', async (t) => {
  const api = await open(t)
  const marked = (ttl?: string) => ({ system: [{ ...text('Be brief.'), cache_control: { type: 'ephemeral', ...(ttl ? { ttl } : {}) } }] })
  t.is((await asked(api, marked('1h'))).retention, 'day')
  t.is((await asked(api, marked('5m'))).retention, 'none')
  t.is((await asked(api, marked())).retention, 'none')
})

test('a conversation is named by the field or the header, and the salt separates', async (t) => {
  const api = await open(t)
  t.like(await asked(api, { conversation: 'thread-1', cache_salt: 'pepper' }), { conversation: 'thread-1', cacheSalt: 'pepper' })
  await api.post(MESSAGES, HELLO, { 'x-conversation-id': 'thread-2' })
  t.is(api.service.lastRequest.conversation, 'thread-2')
})

test('fields without effect here and headers of betas and versions are accepted', async (t) => {
  const api = await open(t)
  const fields = { metadata: { user_id: 'user_1' }, service_tier: 'auto', inference_geo: 'eu', context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] }, mcp_servers: [], container: null }
  const headers = { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'context-management-2025-06-27,interleaved-thinking-2025-05-14', 'anthropic-dangerous-direct-browser-access': 'true' }
  t.is((await api.post(`${MESSAGES}?beta=true`, { ...HELLO, ...fields }, headers)).status, 200)
  const client = anthropicClient(api.url)
  t.is((await client.beta.messages.create({ ...HELLO, messages: [{ role: 'user', content: 'Hi' }], betas: ['context-1m-2025-08-07'] })).stop_reason, 'end_turn')
})

test('images, documents and what other tools leave behind are refused by name', async (t) => {
  const api = await open(t)
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } }
  const inContent = await refused(api, { messages: [{ role: 'user', content: [text('What is this?'), image] }] })
  t.deepEqual(inContent, { status: 400, type: 'invalid_request_error', message: 'messages.0.content.1.type: The model reads and writes text; blocks of this type are not supported.' })
  const inResult = await refused(api, { messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: [image] }] }] })
  t.regex(inResult.message, /^messages\.0\.content\.0\.content\.0\.type: .*not supported/)
  const document = { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'x' } }
  t.regex((await refused(api, { messages: [{ role: 'user', content: [document] }] })).message, /^messages\.0\.content\.0\.type: .*not supported/)
  t.regex((await refused(api, { messages: [{ role: 'assistant', content: [{ type: 'server_tool_use', id: 'a', name: 'web_search', input: {} }] }, USER] })).message, /^messages\.0\.content\.0\.type: .*not supported/)
})

test('tools of a server, its containers and connectors are refused by name', async (t) => {
  const api = await open(t)
  for (const type of ['web_search_20250305', 'bash_20250124', 'text_editor_20250728', 'computer_20250124', 'code_execution_20250522', 'memory_20250818', 'web_fetch_20250910']) {
    const { status, message } = await refused(api, { tools: [TOOL, { type, name: type }] })
    t.is(status, 400)
    t.is(message, 'tools.1.type: The server runs no tools of its own: tools are those that the client runs.', type)
  }
  t.regex((await refused(api, { mcp_servers: [{ type: 'url', url: 'https://a.example', name: 'a' }] })).message, /^mcp_servers: /)
  t.regex((await refused(api, { container: 'container_1' })).message, /^container: /)
})

test('a last message of the assistant is the beginning of the answer', async (t) => {
  const api = await open(t)
  const ended = async (content: unknown) => (await asked(api, { messages: [USER, { role: 'assistant', content }] })).prompt
  for (const content of ['Once upon', [{ type: 'text', text: 'Once ' }, { type: 'text', text: 'upon' }]]) {
    t.like(await ended(content), { kind: 'chat', ending: 'open' })
  }
  t.like(await ended([{ type: 'thinking', thinking: 'Hm', signature: '' }, { type: 'text', text: 'So' }]), { ending: 'open' })
  for (const nothing of ['', []]) {
    const prompt = await ended(nothing)
    t.deepEqual(prompt.kind === 'chat' && [prompt.messages.length, prompt.ending], [1, undefined])
  }
})

test('a beginning that Anthropic refuses is refused in its words', async (t) => {
  const api = await open(t)
  const of = (content: unknown, rest: object = {}) => refused(api, { messages: [USER, { role: 'assistant', content }], ...rest })
  const use = { type: 'tool_use', id: 'a', name: 'f', input: {} }
  const format = { type: 'json_schema', schema: { type: 'object' } }
  const cases: ReadonlyArray<readonly [{ status: number; message: string }, RegExp]> = [
    [await of('Once '), /^messages\.1\.content: Final assistant content cannot end with trailing whitespace/],
    [await of([{ type: 'text', text: 'Once\n' }]), /^messages\.1\.content: .*trailing whitespace/],
    [await of([{ type: 'thinking', thinking: 'Hm', signature: '' }]), /^messages\.1\.content: The final block .* cannot be thinking/],
    [await of([use]), /^messages\.1\.content: .*tool_use/],
    [await of('Once', { thinking: { type: 'enabled', budget_tokens: 1024 } }), /^thinking: /],
    [await of('Once', { output_config: { format } }), /^output_config\.format: /],
  ]
  for (const [{ status, message }, said] of cases) {
    t.is(status, 400)
    t.regex(message, said)
  }
})

test('each field has its bounds, and the error names the field', async (t) => {
  const api = await open(t)
  const deep = (levels: number): unknown => (levels === 0 ? {} : { a: deep(levels - 1) })
  const use = (input: unknown) => [USER, { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input }] }, USER]
  const cases: ReadonlyArray<readonly [object, string]> = [
    [{ messages: undefined }, 'messages'],
    [{ messages: [] }, 'messages'],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.role'],
    [{ messages: [{ role: 'user', content: 7 }] }, 'messages.0.content'],
    [{ messages: [{ role: 'user', content: [] }] }, 'messages.0.content'],
    [{ messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages.0.content.0.text'],
    [{ messages: [{ role: 'user', content: [{ type: 'riddle' }] }] }, 'messages.0.content.0.type'],
    [{ messages: [{ role: 'user', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] }] }, 'messages.0.content.0.type'],
    [{ messages: use('text') }, 'messages.1.content.0.input'],
    [{ messages: use(deep(200)) }, 'messages.1.content.0.input'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ max_tokens: -1 }, 'max_tokens'],
    [{ max_tokens: 1.5 }, 'max_tokens'],
    [{ temperature: -0.1 }, 'temperature'],
    [{ temperature: 'hot' }, 'temperature'],
    [{ top_p: 0 }, 'top_p'],
    [{ top_p: 1.1 }, 'top_p'],
    [{ top_k: -2 }, 'top_k'],
    [{ stop_sequences: Array.from({ length: 17 }, () => 'x') }, 'stop_sequences'],
    [{ stop_sequences: [''] }, 'stop_sequences.0'],
    [{ stop_sequences: ['x'.repeat(1025)] }, 'stop_sequences.0'],
    [{ system: [{ type: 'image' }] }, 'system.0.type'],
    [{ tools: [{ name: 'has space', input_schema: {} }] }, 'tools.0.name'],
    [{ tools: [{ name: 'f' }] }, 'tools.0.input_schema'],
    [{ tools: [{ name: 'f', input_schema: deep(200) }] }, 'tools.0.input_schema'],
    [{ tools: [TOOL, TOOL] }, 'tools.1'],
    [{ tools: Array.from({ length: 513 }, (_, index) => ({ name: `f${index}`, input_schema: {} })) }, 'tools'],
    [{ tool_choice: { type: 'any' } }, 'tool_choice'],
    [{ tools: [TOOL], tool_choice: { type: 'tool', name: 'other' } }, 'tool_choice.name'],
    [{ tools: [TOOL], tool_choice: { type: 'some' } }, 'tool_choice.type'],
    [{ tools: [TOOL], tool_choice: { type: 'any' }, output_format: { type: 'json_schema', schema: {} } }, 'output_format.schema'],
    [{ output_config: { format: { type: 'json_schema', schema: {} } }, output_format: { type: 'json_schema', schema: {} } }, 'output_format.schema'],
    [{ thinking: { type: 'enabled', budget_tokens: 0 } }, 'thinking.budget_tokens'],
    [{ output_config: { format: { type: 'xml' } } }, 'output_config.format.type'],
    [{ cache_control: { type: 'ephemeral', ttl: '2h' } }, 'cache_control.ttl'],
    [{ stream: 'yes' }, 'stream'],
    [{ conversation: 'a b' }, 'conversation'],
  ]
  for (const [fields, param] of cases) {
    const { status, type, message } = await refused(api, fields)
    t.deepEqual([status, type], [400, 'invalid_request_error'], JSON.stringify(fields))
    t.true(message.startsWith(`${param}: `), `${message} (for ${param})`)
  }
})

test('lists that cannot be right are refused before they are walked through', async (t) => {
  const api = await openTestApi({ maxBodyBytes: 8 * 2 ** 20 })
  t.teardown(() => api.close())
  const many = await refused(api, { messages: Array.from({ length: 2048 }, () => USER) })
  t.regex(many.message, /^prompt is too long: messages: the list has 2048 items; the context limit is 2048/)
  const content = Array.from({ length: 131_073 }, () => ({}))
  t.regex((await refused(api, { messages: [{ role: 'user', content }] })).message, /^messages: the items have 131073 parts/)
})

test('a prompt that is too long says so in the words by which clients compact', async (t) => {
  const api = await open(t)
  api.service.answer = () => new ApiError('context_length_exceeded', 'The prompt has 5000 tokens; the context limit, prompt and answer, is 2048.', 'messages')
  t.deepEqual(await refused(api, {}), {
    status: 400,
    type: 'invalid_request_error',
    message: 'prompt is too long: The prompt has 5000 tokens; the context limit, prompt and answer, is 2048.',
  })
})

test('each refusal has Anthropic’s type, in its shape, with a request id that its client reads', async (t) => {
  const api = await open(t)
  const client = anthropicClient(api.url)
  const failing = async (make: () => Promise<unknown>) => {
    const error = await make().then(() => null, (thrown: unknown) => thrown)
    if (!(error instanceof Anthropic.APIError)) throw new Error('no APIError')
    const body = error.error as { type: string; error: { type: string } }
    return { name: error.constructor.name, status: error.status as unknown, type: body.error.type, id: typeof error.requestID }
  }
  const ask = (more: object = {}) => failing(() => client.messages.create({ model: 'fake-model', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }], ...more }))
  t.deepEqual(await ask({ max_tokens: 0 }), { name: 'BadRequestError', status: 400, type: 'invalid_request_error', id: 'string' })
  t.deepEqual(await ask({ model: 'claude-opus-4' }), { name: 'NotFoundError', status: 404, type: 'not_found_error', id: 'string' })
  const refusals = [
    [new ApiError('queue_full', 'The queue is full.', null, { retry_after: 3 }), 'RateLimitError', 429, 'rate_limit_error'],
    [new ApiError('draining', 'The server is shutting down.'), 'ServiceUnavailableError', 503, 'overloaded_error'],
    [new ApiError('engine_error', 'The engine stopped.'), 'InternalServerError', 500, 'api_error'],
  ] as const
  for (const [refusal, name, status, type] of refusals) {
    api.service.answer = () => refusal
    t.deepEqual(await ask(), { name, status, type, id: 'string' })
  }
  for (const [headers, status, type] of [
    [{ host: 'elsewhere.test' }, 421, 'invalid_request_error'],
    [{ origin: 'http://elsewhere.test' }, 403, 'permission_error'],
    [{ 'content-type': 'text/plain' }, 400, 'invalid_request_error'],
  ] as const) {
    const reply = await rawRequest(api.url + MESSAGES, 'POST', { 'content-type': 'application/json', 'x-request-id': 'req_7', ...headers }, '{}')
    t.like(JSON.parse(reply.body), { type: 'error', error: { type } })
    t.deepEqual([reply.status, reply.headers['request-id']], [status, 'req_7'])
  }
  const large = await rawRequest(api.url + MESSAGES, 'POST', { 'content-type': 'application/json' }, JSON.stringify('x'.repeat(70_000)))
  t.like(JSON.parse(large.body), { error: { type: 'request_too_large' } })
})

test('a key is taken as x-api-key and as a bearer token, and the turn is its tenant’s', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-anthropic-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [path, key] = [join(folder, 'keys.jsonl'), newKey()]
  appendKey(path, { id: 'id', name: 'name', tenant: 'acme', sha256: keyHash(key).toString('hex'), created: '2026-03-01T00:00:00Z' })
  const api = await openTestApi({}, {}, new AccessControl({ apiKeys: new Keyring(path), adminKeys: null, isLoopback: true, now: () => 0 }))
  t.teardown(() => api.close())
  const ask = (client: Anthropic) => client.messages.create({ model: 'fake-model', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] })
  const refusal = await t.throwsAsync(ask(anthropicClient(api.url)), { instanceOf: Anthropic.AuthenticationError })
  t.like(refusal?.error, { error: { type: 'authentication_error' } })
  await ask(anthropicClient(api.url, key))
  t.is(api.service.lastRequest.tenant, 'acme')
  await ask(new Anthropic({ baseURL: api.url, apiKey: null, authToken: key, maxRetries: 0 }))
  t.is(api.service.turns.length, 2)
  t.is((await api.post(COUNT, HELLO)).status, 401)
})

test('a model without a chat template says so', async (t) => {
  const api = await openTestApi({}, { hasChatTemplate: false })
  t.teardown(() => api.close())
  for (const path of [MESSAGES, COUNT]) t.regex((await refused(api, {}, path)).message, /^messages: The model has no chat template/)
})

test('tokens are counted of the prompt that the same fields make, without max_tokens, and nothing else is told', async (t) => {
  const api = await open(t)
  const { max_tokens: _, ...fields } = HELLO
  const counted = await (await api.post(COUNT, { ...fields, system: 'Be brief.' })).json()
  t.deepEqual(counted, { input_tokens: '<system>Be brief.<user>Hi'.length })
  const client = anthropicClient(api.url)
  t.is((await client.messages.countTokens({ model: 'fake-model', messages: [{ role: 'user', content: 'Hi' }] })).input_tokens, '<user>Hi'.length)
  t.is(api.service.turns.length, 0)
  t.regex((await refused(api, { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, COUNT)).message, /^tools\.0\.type/)
})
