// The requests of public suites for these two formats, made again: openresponses' compliance tests (specification of
// 2026-04-24), and llama.cpp's for Anthropic's Messages and OpenAI's Responses. Each answers what the suite looks at.

import test, { type ExecutionContext } from 'ava'
import { MessageResponse, StreamEvent } from '../../../ts/surfaces/anthropic/schemas/message.js'
import { ResponseBody, ResponseEvent } from '../../../ts/surfaces/responses/schemas/response.js'
import { errorOf, openTestApi, type TestApi } from '../support/api.js'
import { call, delta, reasoning } from '../support/fake-service.js'
import { doneWithCalls, namedEvents } from '../support/scripts.js'

async function open(t: { teardown: (close: () => Promise<void>) => void }): Promise<TestApi> {
  const api = await openTestApi()
  t.teardown(() => api.close())
  return api
}

const user = (content: unknown) => ({ type: 'message', role: 'user', content })
const parameters = { type: 'object', properties: { location: { type: 'string', description: 'A city' } }, required: ['location'] }
const weather = { type: 'function', name: 'get_weather', description: 'The weather of a place', parameters }
const CALL = () => [...call('call_1', 'get_weather', '{"location":', '"Paris"}'), doneWithCalls()]

/** Members that the specification requires of a response. */
const REQUIRED = `id object created_at completed_at status incomplete_details model previous_response_id instructions output error tools
  tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs temperature reasoning user usage
  max_output_tokens max_tool_calls store background service_tier metadata safety_identifier prompt_cache_key`.split(/\s+/)

async function responds(t: ExecutionContext, api: TestApi, body: object): Promise<ResponseBody> {
  const response = await api.post('/v1/responses', { model: 'fake-model', ...body, stream: false })
  t.is(response.status, 200)
  const json = (await response.json()) as Record<string, unknown>
  for (const member of REQUIRED) t.true(Object.hasOwn(json, member), member)
  return ResponseBody.parse(json)
}

test('openresponses: a basic text response, a system prompt, and a conversation of several turns complete with output', async (t) => {
  const api = await open(t)
  const inputs = [
    [user('Say hello in exactly 3 words.')],
    [{ type: 'message', role: 'system', content: 'You are a pirate.' }, user('Say hello.')],
    [user('My name is Alice.'), { type: 'message', role: 'assistant', content: 'Hello Alice!' }, user('What is my name?')],
  ]
  for (const input of inputs) {
    const { output, status } = await responds(t, api, { input })
    t.is(status, 'completed')
    t.true(output.length > 0)
    const { prompt } = api.service.lastRequest
    t.deepEqual(prompt.kind === 'chat' && prompt.messages.map(({ role }) => role), input.map(({ role }) => role))
  }
})

test('openresponses: every event of a stream is one of the specification, and the last holds the response', async (t) => {
  const api = await open(t)
  const text = await (await api.post('/v1/responses', { input: [user('Count from 1 to 5.')], stream: true })).text()
  const events = namedEvents(text).map(({ data }) => ResponseEvent.parse(data))
  const last = events.at(-1)
  t.like(last, { type: 'response.completed', response: { status: 'completed' } })
})

test('openresponses: a function tool is called, whole and with the events of its arguments', async (t) => {
  const api = await open(t)
  api.service.answer = CALL
  const body = { input: [user("What's the weather like in San Francisco?")], tools: [weather] }
  t.true((await responds(t, api, body)).output.some(({ type }) => type === 'function_call'))
  const text = await (await api.post('/v1/responses', { ...body, stream: true })).text()
  const events = namedEvents(text).map(({ data }) => ResponseEvent.parse(data))
  for (const type of ['response.output_item.added', 'response.output_item.done'] as const) {
    t.true(events.some((event) => event.type === type && event.item.type === 'function_call'), type)
  }
  for (const type of ['response.function_call_arguments.delta', 'response.function_call_arguments.done']) {
    t.true(events.some((event) => event.type === type), type)
  }
})

test('openresponses: an image is refused by name, because the model reads text', async (t) => {
  const api = await open(t)
  const input = [user([{ type: 'input_text', text: 'What do you see?' }, { type: 'input_image', image_url: 'data:image/png;base64,iVBORw0KGgo=' }])]
  t.deepEqual(await errorOf(await api.post('/v1/responses', { input })), { status: 400, code: 'unsupported_parameter', param: 'input.0.content.1.type' })
})

test('llama.cpp: responses take a text format, and refuse a schema that is not there', async (t) => {
  const api = await open(t)
  const status = async (format: object) => (await api.post('/v1/responses', { input: 'Write an example', max_output_tokens: 10, text: { format } })).status
  t.is(await status({ type: 'json_schema', name: 'test', schema: { const: 'foooooo' } }), 200)
  t.is(await status({ type: 'json_object' }), 200)
  t.is(await status({ type: 'text' }), 200)
  t.is(await status({ type: 'json_schema', name: 'test' }), 400)
})

test('llama.cpp: the text of the deltas of a response is the text of its end', async (t) => {
  const api = await open(t)
  const stream = await api.client.responses.create({
    model: 'fake-model',
    input: [{ role: 'system', content: 'Book' }, { role: 'user', content: 'What is the best book' }],
    max_output_tokens: 8,
    temperature: 0.8,
    stream: true,
  })
  let [gathered, responseId, itemId] = ['', '', '']
  for await (const event of stream) {
    if (event.type === 'response.created') responseId = event.response.id
    if (event.type === 'response.in_progress') t.is(event.response.id, responseId)
    if (event.type === 'response.output_item.added') itemId = event.item.id ?? ''
    if (event.type === 'response.output_text.delta') gathered += event.delta
    if ('item_id' in event) t.is(event.item_id, itemId)
    if (event.type === 'response.completed') {
      t.is(event.response.output[0]?.id, itemId)
      const [message] = event.response.output
      t.is(message?.type === 'message' && message.content[0]?.type === 'output_text' && message.content[0].text, gathered)
    }
  }
  t.true(responseId.startsWith('resp_') && itemId.startsWith('msg_'))
})

const ask = { model: 'fake-model', max_tokens: 50 }
const said = (role: string, content: unknown) => ({ role, content })
const tool = { name: 'get_weather', description: 'The weather of a place', input_schema: parameters }

async function answers(t: ExecutionContext, api: TestApi, body: object): Promise<MessageResponse> {
  const response = await api.post('/v1/messages', { ...ask, ...body })
  t.is(response.status, 200)
  return MessageResponse.parse(await response.json())
}

test('llama.cpp: messages of every shape answer with a text block and its usage', async (t) => {
  const api = await open(t)
  const bodies = [
    { messages: [said('user', 'Say hello')] },
    { system: 'You are a helpful assistant.', messages: [said('user', 'Hello')] },
    { messages: [said('user', [{ type: 'text', text: 'What is' }, { type: 'text', text: ' the answer?' }])] },
    { messages: [said('user', 'Hello'), said('assistant', 'Hi there!'), said('user', 'How are you?')] },
    { messages: [said('user', 'Count to 10')], stop_sequences: ['\n', 'END'] },
    { messages: [said('user', 'Hello')], temperature: 0.5, top_p: 0.9, top_k: 40, metadata: { user_id: 'test_user_123' } },
    { messages: [said('user', 'What is 2+2?')], thinking: { type: 'enabled', budget_tokens: 50 } },
    { messages: [said('user', 'Hello')], max_tokens: undefined },
  ]
  for (const body of bodies) {
    const message = await answers(t, api, body)
    t.is(message.content[0]?.type, 'text')
    t.is(message.stop_reason, 'end_turn')
    t.true(message.usage.output_tokens > 0)
    t.false(Object.hasOwn(message, 'timings'))
  }
})

test('llama.cpp: results of tools, beside texts and as errors, are answered', async (t) => {
  const api = await open(t)
  const called = said('assistant', [{ type: 'tool_use', id: 'test123', name: 'get_weather', input: { location: 'Paris' } }])
  const results = [
    [{ type: 'tool_result', tool_use_id: 'test123', content: 'The weather is sunny, 25°C' }],
    [{ type: 'text', text: 'Here are the results:' }, { type: 'tool_result', tool_use_id: 'test123', content: 'Sunny, 25°C' }],
    [{ type: 'tool_result', tool_use_id: 'test123', is_error: true, content: 'City not found' }],
  ]
  for (const content of results) {
    const { content: blocks } = await answers(t, api, { messages: [said('user', "What's the weather?"), called, said('user', content)] })
    t.is(blocks[0]?.type, 'text')
    const { prompt } = api.service.lastRequest
    t.true(prompt.kind === 'chat' && prompt.messages.some(({ role, toolCallId }) => role === 'tool' && toolCallId === 'test123'))
  }
})

test('llama.cpp: a tool is used, whole and in a stream whose block numbers follow each other', async (t) => {
  const api = await open(t)
  api.service.answer = () => [reasoning('2 + 2 is 4.'), delta('I look.'), ...CALL()]
  const body = { tools: [tool], messages: [said('user', "What's the weather in Paris?")] }
  const message = await answers(t, api, body)
  t.is(message.stop_reason, 'tool_use')
  t.like(message.content[2], { type: 'tool_use', name: 'get_weather', input: { location: 'Paris' } })
  const text = await (await api.post('/v1/messages', { ...ask, ...body, stream: true })).text()
  const events = namedEvents(text).map(({ data }) => StreamEvent.parse(data))
  const numbers = (type: 'content_block_start' | 'content_block_stop') => events.flatMap((event) => (event.type === type ? [event.index] : []))
  t.deepEqual(numbers('content_block_start'), [0, 1, 2])
  t.deepEqual(numbers('content_block_stop'), [0, 1, 2])
  const [start] = events
  t.true(start?.type === 'message_start' && start.message.usage.input_tokens > 0)
  const kinds = events.flatMap((event) => (event.type === 'content_block_start' ? [event.content_block.type] : []))
  t.deepEqual(kinds, ['thinking', 'text', 'tool_use'])
  t.true(events.some((event) => event.type === 'content_block_delta' && event.delta.type === 'signature_delta'))
})

test('llama.cpp: tokens are counted with and without a system prompt, and missing messages are an error', async (t) => {
  const api = await open(t)
  const count = async (body: object) => {
    const counted = (await (await api.post('/v1/messages/count_tokens', { model: 'fake-model', ...body })).json()) as Record<string, number>
    t.deepEqual(Object.keys(counted), ['input_tokens'])
    return counted['input_tokens'] ?? 0
  }
  const messages = [said('user', 'Hello')]
  t.true((await count({ messages })) > 0)
  t.true((await count({ messages, system: 'You are a helpful assistant.' })) > (await count({ messages })))
  t.is((await api.post('/v1/messages', ask)).status, 400)
})

test('llama.cpp: an image is refused by name, and the two formats differ in shape', async (t) => {
  const api = await open(t)
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } }
  const refused = await api.post('/v1/messages', { ...ask, messages: [said('user', [image, { type: 'text', text: 'What is this?' }])] })
  t.is(refused.status, 400)
  t.regex(((await refused.json()) as { error: { message: string } }).error.message, /^messages\.0\.content\.0\.type: The model reads and writes text/)
  const messages = [said('user', 'Hello')]
  const chat = (await (await api.post('/v1/chat/completions', { ...ask, messages })).json()) as Record<string, unknown>
  const anthropic = await answers(t, api, { messages })
  t.deepEqual([chat['object'], anthropic.type], ['chat.completion', 'message'])
  t.true(Array.isArray(chat['choices']) && !Object.hasOwn(anthropic, 'choices'))
})
