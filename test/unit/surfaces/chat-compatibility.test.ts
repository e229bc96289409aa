// What llama.cpp's tests check of chat completions and of tools in them, made again: over the scripted service what is told,
// over the simulated engine what depends on tokens.

import test, { type ExecutionContext } from 'ava'
import { scripted } from '../../../ts/engine/simulated/scripted.js'
import { simulatedService } from '../../support/simulated-service.js'
import { errorOf, openApiOver, openTestApi, type OpenedApi, type TestApi } from '../support/api.js'
import { call, delta, done, reasoning } from '../support/fake-service.js'
import { doneWithCalls } from '../support/scripts.js'
import { openSimulatedApi } from '../support/simulated-api.js'

const CHAT = '/v1/chat/completions'
const said = (role: string, content: unknown) => ({ role, content })
const BOOK = [said('system', 'Book'), said('user', 'What is the best book')]

interface Choice {
  readonly message: { readonly role: string; readonly content: string | null; readonly reasoning_content?: string | null; readonly tool_calls?: ReadonlyArray<{ readonly id: string; readonly function: { readonly name: string; readonly arguments: string } }> }
  readonly finish_reason: string
}

interface Whole {
  readonly id: string
  readonly system_fingerprint: string
  readonly choices: readonly Choice[]
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number }
}

interface Chunk {
  readonly id: string
  readonly model: string
  readonly system_fingerprint: string
  readonly choices: ReadonlyArray<{ readonly delta: Readonly<Record<string, unknown>>; readonly finish_reason: string | null }>
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null
}

async function open(t: { teardown: (close: () => Promise<void>) => void }): Promise<TestApi> {
  const api = await openTestApi()
  t.teardown(() => api.close())
  return api
}

async function answered(t: ExecutionContext, api: OpenedApi, body: object): Promise<Whole> {
  const response = await api.post(CHAT, { messages: BOOK, ...body })
  t.is(response.status, 200)
  return (await response.json()) as Whole
}

async function chunksOf(t: ExecutionContext, api: OpenedApi, body: object): Promise<Chunk[]> {
  const response = await api.post(CHAT, { messages: BOOK, ...body, stream: true })
  t.is(response.status, 200)
  const text = await response.text()
  return text.split('\n\n').filter((line) => line.startsWith('data: {')).map((line) => JSON.parse(line.slice('data: '.length)) as Chunk)
}

test('an answer has an id of completions, a fingerprint, its role, and ends for its length at the limit', async (t) => {
  const api = await openSimulatedApi(t)
  for (const content of ['What is the best book', [{ type: 'text', text: 'What is' }, { type: 'text', text: 'the best book' }]]) {
    const { id, system_fingerprint, usage, choices } = await answered(t, api, { messages: [said('system', 'Book'), said('user', content)], max_tokens: 8, ignore_eos: true })
    t.regex(id, /cmpl/)
    t.true(system_fingerprint.length > 0)
    t.is(usage.completion_tokens, 8)
    t.true(usage.prompt_tokens > 0)
    t.like(choices[0], { message: { role: 'assistant' }, finish_reason: 'length' })
  }
})

test('a stream has one id, the role in its first chunk alone, no content in its last, and the usage of the whole', async (t) => {
  const api = await openSimulatedApi(t)
  const body = { max_tokens: 8, temperature: 0, ignore_eos: true }
  const whole = await answered(t, api, body)
  const chunks = await chunksOf(t, api, { ...body, stream_options: { include_usage: true } })
  t.is(new Set(chunks.map(({ id }) => id)).size, 1)
  t.is(new Set(chunks.map(({ system_fingerprint: print }) => print)).size, 1)
  const told = chunks.flatMap(({ choices }) => choices)
  t.deepEqual(told.map(({ delta: part }) => 'role' in part), told.map((_, at) => at === 0))
  t.is(told.map(({ delta: part }) => (part['content'] as string | null | undefined) ?? '').join(''), whole.choices[0]?.message.content ?? '')
  const last = told.at(-1)
  t.deepEqual([last?.finish_reason, 'content' in (last?.delta ?? {})], ['length', false])
  t.true(told.slice(0, -1).every(({ finish_reason: reason }) => reason === null))
  t.like(chunks.at(-1), { choices: [], usage: { prompt_tokens: whole.usage.prompt_tokens, completion_tokens: 8 } })
})

test('each way to ask for a form reaches the service, and one that is none is refused', async (t) => {
  const api = await open(t)
  const constraint = async (body: object) => {
    await answered(t, api, body)
    return api.service.lastRequest.constraint
  }
  const format = (response_format: object) => constraint({ response_format })
  t.deepEqual(await format({ type: 'json_object', schema: { const: '42' } }), { kind: 'json_schema', schema: { const: '42' } })
  t.deepEqual(await format({ type: 'json_schema', json_schema: { schema: { const: 'foooooo' } } }), { kind: 'json_schema', schema: { const: 'foooooo' } })
  t.deepEqual(await format({ type: 'json_object' }), { kind: 'json_object' })
  t.deepEqual(await constraint({ json_schema: { const: '42' } }), { kind: 'json_schema', schema: { const: '42' } })
  t.deepEqual(await constraint({ grammar: 'root ::= "a"{5,5}' }), { kind: 'grammar', grammar: 'root ::= "a"{5,5}' })
  for (const response_format of [{ type: 'sound' }, { type: 'json_object', schema: 123 }]) {
    t.is((await api.post(CHAT, { messages: BOOK, response_format })).status, 400, JSON.stringify(response_format))
  }
})

test('messages that are none are refused, whatever they are instead', async (t) => {
  const api = await open(t)
  const wrong = [null, 'string', [123], [{}], [{ role: 123 }], [said('system', 123)], [{ content: 'hello' }], [said('system', 'test'), {}]]
  for (const messages of wrong) {
    const response = await api.post(CHAT, { messages })
    t.is(response.status, 400, JSON.stringify(messages))
    t.regex((await errorOf(response)).param ?? '', /^messages/, JSON.stringify(messages))
  }
})

test('fields of llama.cpp’s telemetry are taken in chats, and named where the format has no use for them', async (t) => {
  const api = await open(t)
  const fields = { timings_per_token: true, return_progress: true }
  t.is((await api.post(CHAT, { messages: BOOK, ...fields })).headers.get('x-ignored-fields'), null)
  const response = await api.post('/v1/responses', { input: 'This is a test', ...fields })
  t.is(response.status, 200)
  t.regex(response.headers.get('x-ignored-fields') ?? '', /timings_per_token.*return_progress/)
})

test('the tokens of log probabilities join to the answer, whole and in a stream, each with its bytes and alternatives', async (t) => {
  const api = await openSimulatedApi(t)
  const body = { model: 'fake-model', temperature: 0, messages: BOOK as never, max_tokens: 5, logprobs: true, top_logprobs: 10, seed: 1 }
  const whole = (await api.client.chat.completions.create(body)).choices[0]
  const tokens = [...(whole?.logprobs?.content ?? [])]
  const streamed = []
  let text = ''
  for await (const { choices } of await api.client.chat.completions.create({ ...body, stream: true })) {
    text += choices[0]?.delta.content ?? ''
    streamed.push(...(choices[0]?.logprobs?.content ?? []))
  }
  t.is(text, whole?.message.content ?? '')
  t.deepEqual(streamed, tokens)
  t.true(tokens.length > 0)
  t.is(Buffer.from(tokens.flatMap(({ bytes }) => bytes ?? [])).toString(), text)
  for (const { logprob, bytes, top_logprobs: top } of tokens) {
    t.true(logprob <= 0)
    t.true(Array.isArray(bytes))
    t.is(top.length, 10)
  }
})

test('a prompt that is too long is the client’s error before a stream begins, and says both lengths', async (t) => {
  const api = await openSimulatedApi(t, { maxContext: 256 })
  for (const stream of [false, true]) {
    const response = await api.post(CHAT, { messages: Array.from({ length: 50 }, () => BOOK).flat(), stream })
    t.is(response.status, 400)
    t.false((response.headers.get('content-type') ?? '').includes('event-stream'))
    const { error } = (await response.json()) as { error: { code: string; message: string } }
    t.is(error.code, 'context_length_exceeded')
    t.regex(error.message, /^The prompt has .* tokens; the context limit, prompt and answer, is 256/)
  }
})

const tool = (name: string, key: string) => ({
  type: 'function',
  function: { name, description: '', parameters: { type: 'object', properties: { [key]: { type: 'string' } }, required: [key] } },
})
const PYTHON = tool('python', 'code')

test('a tool that must be called is called once, with no text beside it, whole and in a stream', async (t) => {
  const api = await openSimulatedApi(t)
  const body = { tools: [PYTHON, tool('other', 'x')], tool_choice: { type: 'function', function: { name: 'python' } }, parallel_tool_calls: false, max_tokens: 100 }
  const [choice] = (await answered(t, api, body)).choices
  t.true(choice?.message.content === null || choice?.message.content === '')
  t.deepEqual(choice?.message.tool_calls?.map(({ function: { name } }) => name), ['python'])
  t.true((choice?.message.tool_calls?.[0]?.id ?? '').length > 0)
  t.is(choice?.finish_reason, 'tool_calls')
  const chunks = await chunksOf(t, api, body)
  const parts = chunks.flatMap(({ choices }) => choices.flatMap(({ delta: part }) => (part['tool_calls'] ?? []) as Array<{ index: number; function?: { name?: string; arguments?: string } }>))
  t.deepEqual(parts.flatMap(({ function: named }) => named?.name ?? []), ['python'])
  t.deepEqual([...new Set(parts.map(({ index }) => index))], [0])
  t.is(parts.map(({ function: named }) => named?.arguments ?? '').join(''), choice?.message.tool_calls?.[0]?.function.arguments ?? '')
})

test('without tools, or with none of them to be called, an answer has no calls, though it may look like one', async (t) => {
  const text = 'print("<tool_call>python{}</tool_call>")'
  const { service, engine, close } = simulatedService({ recorded: scripted(() => text) })
  const api = await openApiOver(service, engine, { maxBodyBytes: 2 ** 20 })
  t.teardown(async () => {
    await api.close()
    await close()
  })
  for (const more of [{}, { tools: [] }, { tools: [PYTHON], tool_choice: 'none' }]) {
    const { message, finish_reason: reason } = (await answered(t, api, more)).choices[0] as Choice
    t.deepEqual([message.tool_calls, message.content, reason], [undefined, text, 'stop'], JSON.stringify(more))
    const told = (await chunksOf(t, api, more)).flatMap(({ choices }) => choices)
    t.true(told.every(({ delta: part }) => part['tool_calls'] === undefined))
    t.is(told.map(({ delta: part }) => (part['content'] as string | undefined) ?? '').join(''), text)
  }
})

test('a call and its result come back, beside the name of the tool, and are answered with a text', async (t) => {
  const api = await open(t)
  const calls = [{ id: 'call_6789', type: 'function', function: { name: 'calculate', arguments: '{"expression":"sin(30 * pi / 180)"}' } }]
  const messages = [said('user', "What's the y coordinate?"), { role: 'assistant', content: null, tool_calls: calls }, { role: 'tool', name: 'calculate', content: '0.556', tool_call_id: 'call_6789' }]
  const { message } = (await answered(t, api, { messages, tools: [tool('calculate', 'expression')] })).choices[0] as Choice
  t.deepEqual([message.tool_calls, message.content], [undefined, 'Hello you'])
  const { prompt } = api.service.lastRequest
  t.like(prompt.kind === 'chat' ? prompt.messages[2] : {}, { role: 'tool', name: 'calculate', toolCallId: 'call_6789' })
})

test('reasoning stands beside the content where there was some, and nowhere else', async (t) => {
  const api = await open(t)
  const messageOf = async () => ((await answered(t, api, {})).choices[0] as Choice).message
  t.is((await messageOf()).reasoning_content ?? null, null)
  api.service.answer = () => [reasoning('First, I add.'), delta('109.'), done()]
  t.like(await messageOf(), { reasoning_content: 'First, I add.', content: '109.' })
  api.service.answer = () => [reasoning('I look it up.'), ...call('call_1', 'python', '{"code":"print(109)"}'), doneWithCalls()]
  const { content, reasoning_content: thought, tool_calls: calls } = await messageOf()
  t.deepEqual([content ?? '', thought, calls?.length], ['', 'I look it up.', 1])
})
