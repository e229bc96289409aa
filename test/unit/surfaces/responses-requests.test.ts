// POST /v1/responses: the neutral turn that each field becomes, and what is refused by name.

import test from 'ava'
import { ApiError } from '../../../ts/protocol/errors.js'
import type { TurnMessage, TurnRequest } from '../../../ts/service/types.js'
import { errorOf, openTestApi, type TestApi } from '../support/api.js'

const RESPONSES = '/v1/responses'
const USER = { role: 'user', content: 'Hi' }
const HELLO = { input: 'Hi' }
const TOOL = { type: 'function', name: 'weather', description: 'Looks outside.', parameters: { type: 'object' }, strict: true }

async function open(t: { teardown: (close: () => Promise<void>) => void }): Promise<TestApi> {
  const api = await openTestApi()
  t.teardown(() => api.close())
  return api
}

async function asked(api: TestApi, more: object): Promise<TurnRequest> {
  const response = await api.post(RESPONSES, { ...HELLO, ...more })
  if (response.status !== 200) throw new Error(await response.text())
  return api.service.lastRequest
}

async function messagesOf(api: TestApi, more: object): Promise<readonly TurnMessage[]> {
  const { prompt } = await asked(api, more)
  return prompt.kind === 'chat' ? prompt.messages : []
}

const part = (text: string) => ({ kind: 'text', text })

test('an input is a text or a list of messages, after the instructions', async (t) => {
  const api = await open(t)
  t.deepEqual((await messagesOf(api, { instructions: 'Be brief.' })) as unknown[], [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: [part('Hi')] },
  ])
  const input = [
    { role: 'developer', content: 'Be kind.' },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'one ' }, { type: 'input_text', text: 'two\ud800' }] },
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'three', annotations: [] }, { type: 'refusal', refusal: ' no' }] },
    USER,
  ]
  t.deepEqual((await messagesOf(api, { input })) as unknown[], [
    { role: 'system', content: [part('Be kind.')] },
    { role: 'user', content: [part('one '), part('two\uFFFD')] },
    { role: 'assistant', content: [part('three'), part(' no')] },
    { role: 'user', content: [part('Hi')] },
  ])
})

test('reasoning, text and calls of one answer are one message; results are messages of tools', async (t) => {
  const api = await open(t)
  const input = [
    USER,
    { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'Which city?' }] },
    { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'I look.', annotations: [], logprobs: [] }] },
    { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'weather', arguments: '{"city": "Rome"}', status: 'completed' },
    { type: 'custom_tool_call', call_id: 'call_2', name: 'patch', input: 'a "b"' },
    { type: 'function_call_output', call_id: 'call_1', output: 'Sunny' },
    { type: 'custom_tool_call_output', call_id: 'call_2', output: [{ type: 'input_text', text: 'Done' }] },
    { type: 'reasoning', summary: [{ type: 'summary_text', text: 'In short: go.' }] },
    { type: 'function_call', call_id: 'call_3', name: 'weather', arguments: '{}' },
    { type: 'reasoning', summary: [], encrypted_content: 'gAAAAABfromelsewhere' },
    { role: 'assistant', content: 'It is sunny.' },
    { role: 'assistant', content: 'Bring a hat.' },
    USER,
  ]
  t.deepEqual((await messagesOf(api, { input })) as unknown[], [
    { role: 'user', content: [part('Hi')] },
    {
      role: 'assistant',
      content: [part('I look.')],
      reasoning: 'Which city?',
      toolCalls: [
        { id: 'call_1', name: 'weather', arguments: '{"city": "Rome"}' },
        { id: 'call_2', name: 'patch', arguments: '{"input":"a \\"b\\""}' },
      ],
    },
    { role: 'tool', toolCallId: 'call_1', content: [part('Sunny')] },
    { role: 'tool', toolCallId: 'call_2', content: [part('Done')] },
    { role: 'assistant', content: [], reasoning: 'In short: go.', toolCalls: [{ id: 'call_3', name: 'weather', arguments: '{}' }] },
    { role: 'assistant', content: [part('It is sunny.')] },
    { role: 'assistant', content: [part('Bring a hat.')] },
    { role: 'user', content: [part('Hi')] },
  ])
})

test('limits, sampling, hints and truncation are those of the request, else the model’s', async (t) => {
  const api = await open(t)
  const request = await asked(api, {
    max_output_tokens: 7,
    temperature: 0.2,
    top_p: 0.9,
    top_k: 40,
    min_p: 0.1,
    presence_penalty: 1,
    frequency_penalty: -1,
    seed: 3,
    truncation: 'auto',
    prompt_cache_key: 'thread-1',
    prompt_cache_retention: '24h',
    cache_salt: 'pepper',
  })
  t.like(request, { maxTokens: 7, truncation: 'auto', conversationHint: 'thread-1', retention: 'day', cacheSalt: 'pepper' })
  t.like(request.sampling, { temperature: 0.2, topP: 0.9, topK: 40, minP: 0.1, presencePenalty: 1, frequencyPenalty: -1, seed: 3n, logprobs: null })
  const plain = await asked(api, {})
  t.like(plain, { maxTokens: null, truncation: 'disabled', conversationHint: null, retention: 'none', tools: undefined, constraint: undefined })
  t.like(plain.sampling, { temperature: 0.6, topP: 0.95 })
  await api.post(RESPONSES, HELLO, { 'x-conversation-id': 'thread-2' })
  t.is(api.service.lastRequest.conversation, 'thread-2')
})

test('tools and the choice among them', async (t) => {
  const api = await open(t)
  const other = { type: 'function', name: 'now', parameters: null }
  const weather = { name: 'weather', description: 'Looks outside.', parameters: { type: 'object' }, strict: true }
  const now = { name: 'now', parameters: null, strict: false }
  const allowed = (mode: string) => ({ type: 'allowed_tools', mode, tools: [{ type: 'function', name: 'now' }] })
  const cases: ReadonlyArray<readonly [unknown, unknown, object?]> = [
    [undefined, 'auto'],
    ['none', 'none'],
    ['required', 'required'],
    [{ type: 'function', name: 'now' }, { name: 'now' }],
    [allowed('auto'), 'auto', { allowed: ['now'] }],
    [allowed('required'), 'required', { allowed: ['now'] }],
  ]
  for (const [tool_choice, choice, more = {}] of cases) {
    const { tools } = await asked(api, { tools: [TOOL, other], tool_choice })
    t.deepEqual(tools as unknown, { definitions: [weather, now], choice, parallel: true, ...more }, JSON.stringify(tool_choice))
  }
  t.is((await asked(api, { tools: [TOOL], parallel_tool_calls: false })).tools?.parallel, false)
  t.is((await asked(api, { tools: [], tool_choice: 'auto' })).tools, undefined)
})

test('a custom tool is a strict function of one text, which its grammar holds', async (t) => {
  const api = await open(t)
  const inputOf = async (format: unknown) => {
    const { tools } = await asked(api, { tools: [{ type: 'custom', name: 'edit', description: 'Edits.', format }] })
    const [definition] = tools?.definitions ?? []
    t.like(definition, { name: 'edit', description: 'Edits.', strict: true, parameters: { required: ['input'], additionalProperties: false } })
    return (definition?.parameters as { properties: { input: unknown } } | undefined)?.properties.input
  }
  const grammar = (syntax: string, definition: string) => ({ type: 'grammar', syntax, definition })
  for (const free of [undefined, null, { type: 'text' }]) t.deepEqual(await inputOf(free), { type: 'string' })
  for (const same of ['a|b\\$', '^a|b\\$$', '\\Aa|b\\$\\z']) t.deepEqual(await inputOf(grammar('regex', same)), { type: 'string', pattern: '^(?:a|b\\$)$' })
  t.deepEqual(await inputOf(grammar('lark', 'start: "a" | "b"\n')), {
    type: 'string',
    description: 'A text of this grammar, in Lark\'s notation:\nstart: "a" | "b"',
    pattern: '^(?:(?:a|b))$',
  })
  for (const [format, param, part] of [
    [grammar('lark', 'start: "(" start ")"'), 'tools.0.format.definition', 'line 1: "start" comes back to itself'],
    [grammar('regex', 'a'.repeat(20_000)), 'tools.0.format.definition', 'the limit is 16384'],
    [grammar('lark', ''), 'tools.0.format.definition', ''],
    [grammar('gbnf', 'root ::= "a"'), 'tools.0.format.syntax', ''],
  ] as const) {
    const response = await api.post(RESPONSES, { ...HELLO, tools: [{ type: 'custom', name: 'edit', format }] })
    const { error } = (await response.clone().json()) as { error: { message: string } }
    t.deepEqual(await errorOf(response), { status: 400, code: 'invalid_value', param })
    t.true(error.message.includes(part), error.message)
  }
})

test('a format of the text is a constraint', async (t) => {
  const api = await open(t)
  const schema = { type: 'object' }
  const constraintOf = async (format: unknown): Promise<unknown> => (await asked(api, { text: { format } })).constraint
  t.is(await constraintOf({ type: 'text' }), undefined)
  t.deepEqual(await constraintOf({ type: 'json_object' }), { kind: 'json_object' })
  t.deepEqual(await constraintOf({ type: 'json_schema', name: 'a', schema, strict: false }), { kind: 'json_schema', schema })
})

test('effort becomes variables of the template', async (t) => {
  const api = await open(t)
  const cases = [
    [{ effort: 'none' }, { enable_thinking: false, reasoning_effort: 'none' }],
    [{ effort: 'minimal' }, { enable_thinking: false, reasoning_effort: 'minimal' }],
    [{ effort: 'medium', summary: 'auto' }, { reasoning_effort: 'medium' }],
    [{ effort: 'xhigh' }, { reasoning_effort: 'xhigh' }],
    [{ effort: null }, undefined],
  ] as const
  for (const [reasoning, expected] of cases) t.deepEqual((await asked(api, { reasoning })).templateArguments as unknown, expected, JSON.stringify(reasoning))
})

test('fields without effect here are accepted, and those that a client looks for come back', async (t) => {
  const api = await open(t)
  const fields = {
    metadata: { run: '7' },
    user: 'u1',
    safety_identifier: 's1',
    service_tier: 'auto',
    max_tool_calls: 3,
    stream_options: { include_obfuscation: false },
    include: ['file_search_call.results'],
    text: { verbosity: 'low' },
    client_metadata: { a: 'b' },
    background: false,
    conversation: null,
    prompt: null,
  }
  const body = await (await api.post(RESPONSES, { ...HELLO, ...fields })).json()
  t.like(body, { metadata: { run: '7' }, user: 'u1', safety_identifier: 's1', service_tier: 'default', max_tool_calls: 3, text: { format: { type: 'text' }, verbosity: 'low' } })
})

test('what the answer would differ by is refused by name', async (t) => {
  const api = await open(t)
  const image = { type: 'input_image', image_url: 'data:image/png;base64,iVBORw0KGgo=' }
  const message = (content: unknown) => [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'x' }, content] }]
  const cases: ReadonlyArray<readonly [object, string]> = [
    [{ input: message(image) }, 'input.0.content.1.type'],
    [{ input: [{ role: 'user', content: [{ type: 'riddle', text: 'x' }] }] }, 'input.0.content.0.type'],
    [{ input: message({ type: 'input_file', file_id: 'file_1' }) }, 'input.0.content.1.type'],
    [{ input: message({ type: 'input_audio', input_audio: {} }) }, 'input.0.content.1.type'],
    [{ input: [{ type: 'function_call_output', call_id: 'a', output: [image] }] }, 'input.0.output.0.type'],
    [{ input: [USER, { type: 'web_search_call', id: 'ws_1' }] }, 'input.1.type'],
    [{ tools: [TOOL, { type: 'web_search' }] }, 'tools.1.type'],
    [{ tools: [{ type: 'file_search', vector_store_ids: [] }] }, 'tools.0.type'],
    [{ tools: [{ type: 'mcp', server_label: 'a' }] }, 'tools.0.type'],
    [{ tools: [{ type: 'local_shell' }] }, 'tools.0.type'],
    [{ tools: [{ type: 'custom', name: 'f', format: { type: 'music' } }] }, 'tools.0.format.type'],
    [{ tools: [TOOL], tool_choice: { type: 'web_search_preview' } }, 'tool_choice.type'],
    [{ background: true }, 'background'],
    [{ conversation: 'conv_1' }, 'conversation'],
    [{ conversation: { id: 'conv_1' } }, 'conversation'],
    [{ prompt: { id: 'pmpt_1' } }, 'prompt'],
    [{ service_tier: 'flex' }, 'service_tier'],
    [{ context_management: [{ type: 'compaction' }] }, 'context_management'],
  ]
  for (const [fields, param] of cases) {
    t.deepEqual(await errorOf(await api.post(RESPONSES, { ...HELLO, ...fields })), { status: 400, code: 'unsupported_parameter', param }, JSON.stringify(fields))
  }
})

test('each field has its bounds, and the error names the field', async (t) => {
  const api = await open(t)
  const deep = (levels: number): unknown => (levels === 0 ? {} : { a: deep(levels - 1) })
  const cases: ReadonlyArray<readonly [object, string]> = [
    [{ input: undefined }, 'input'],
    [{ input: [] }, 'input'],
    [{ input: 7 }, 'input'],
    [{ input: [{ role: 'tool', content: 'x' }] }, 'input.0.role'],
    [{ input: [{ role: 'user', content: 7 }] }, 'input.0.content'],
    [{ input: [{ role: 'user', content: [{ type: 'input_text' }] }] }, 'input.0.content.0.text'],
    [{ input: [{ type: 'function_call', call_id: 'a', name: 'f' }] }, 'input.0.arguments'],
    [{ input: [{ type: 'function_call', call_id: '', name: 'f', arguments: '' }] }, 'input.0.call_id'],
    [{ max_output_tokens: 0 }, 'max_output_tokens'],
    [{ temperature: 101 }, 'temperature'],
    [{ top_p: 0 }, 'top_p'],
    [{ top_logprobs: 21 }, 'top_logprobs'],
    [{ include: ['all'] }, 'include.0'],
    [{ truncation: 'some' }, 'truncation'],
    [{ metadata: { a: 'x'.repeat(513) } }, 'metadata.a'],
    [{ metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, 'v'])) }, 'metadata'],
    [{ text: { format: { type: 'json_schema', name: 'a' } } }, 'text.format.schema'],
    [{ text: { format: { type: 'xml' } } }, 'text.format.type'],
    [{ reasoning: { effort: 'some' } }, 'reasoning.effort'],
    [{ tools: [{ type: 'function' }] }, 'tools.0.name'],
    [{ tools: [{ ...TOOL, parameters: deep(200) }] }, 'tools.0.parameters'],
    [{ tools: [TOOL, TOOL] }, 'tools.1'],
    [{ tools: Array.from({ length: 513 }, () => TOOL) }, 'tools'],
    [{ tool_choice: 'required' }, 'tool_choice'],
    [{ tools: [TOOL], tool_choice: { type: 'function', name: 'other' } }, 'tool_choice.name'],
    [{ tools: [TOOL], tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'other' }] } }, 'tool_choice.tools.0.name'],
    [{ tools: [TOOL], tool_choice: 'required', text: { format: { type: 'json_object' } } }, 'text.format'],
    [{ previous_response_id: '' }, 'previous_response_id'],
    [{ store: 'yes' }, 'store'],
  ]
  for (const [fields, param] of cases) {
    t.deepEqual(await errorOf(await api.post(RESPONSES, { ...HELLO, ...fields })), { status: 400, code: 'invalid_value', param }, JSON.stringify(fields))
  }
})

test('a list of more items than the context has tokens is refused before it is walked through', async (t) => {
  const api = await openTestApi({ maxBodyBytes: 8 * 2 ** 20 })
  t.teardown(() => api.close())
  const input = Array.from({ length: 2048 }, () => USER)
  t.like(await errorOf(await api.post(RESPONSES, { input })), { status: 400, code: 'context_length_exceeded', param: 'input' })
  t.is((await api.post(RESPONSES, { input, truncation: 'auto' })).status, 200)
})

test('errors have OpenAI’s shape, those of the service too', async (t) => {
  const api = await open(t)
  api.service.answer = () => new ApiError('queue_full', 'The queue is full.', null, { retry_after: 3 })
  const response = await api.post(RESPONSES, HELLO)
  t.is(response.headers.get('retry-after'), '3')
  t.deepEqual(await response.json(), { error: { message: 'The queue is full.', type: 'rate_limit_error', param: null, code: 'queue_full' } })
  t.like(await errorOf(await api.post(RESPONSES, { ...HELLO, model: 'gpt-5' })), { status: 404, code: 'model_not_found', param: 'model' })
})

test('a model without a chat template says so', async (t) => {
  const api = await openTestApi({}, { hasChatTemplate: false })
  t.teardown(() => api.close())
  t.like(await errorOf(await api.post(RESPONSES, HELLO)), { status: 400, code: 'invalid_value', param: 'input' })
})
