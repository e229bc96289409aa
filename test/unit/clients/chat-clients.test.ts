// Requests in the shape that Open WebUI, LangChain and the AI SDK of Vercel send them.

import test from 'ava'
import { call, delta, done } from '../support/fake-service.js'
import { callsOf, chunksOf, madeCall, openStrict, passes } from './support.js'

const WEATHER = {
  type: 'object',
  properties: { city: { type: 'string', description: 'a city' } },
  required: ['city'],
  additionalProperties: false,
  $schema: 'http://json-schema.org/draft-07/schema#',
}

test('Open WebUI: a chat with its settings, a title, and calls that it sends back with their index', async (t) => {
  const api = await openStrict(t)
  const chat = {
    stream: true,
    model: 'fake-model',
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Weather?' },
      { role: 'assistant', content: '', tool_calls: [{ index: 0, ...madeCall('call_1', 'weather', '{"city": "Oslo"}') }] },
      { role: 'tool', tool_call_id: 'call_1', content: '{"cold": true}' },
    ],
    stream_options: { include_usage: true },
    temperature: 0.7,
    top_p: 0.9,
    min_p: 0.05,
    max_tokens: 512,
    frequency_penalty: 0,
    presence_penalty: 0,
    seed: 7,
    stop: ['END'],
    reasoning_effort: 'low',
    logit_bias: { '17': -1 },
    tools: [{ type: 'function', function: { name: 'weather', description: 'of a city', parameters: WEATHER } }],
  }
  const { response, request, messages } = await passes(api, chat)
  t.like((await chunksOf(response)).at(-1), { choices: [], usage: { total_tokens: 105 } })
  t.like(request, { maxTokens: 512, stop: ['END'], templateArguments: { reasoning_effort: 'low' } })
  t.deepEqual(messages[2], { role: 'assistant', content: '', toolCalls: [{ id: 'call_1', name: 'weather', arguments: '{"city": "Oslo"}' }] })
  const title = { model: 'fake-model', messages: [{ role: 'user', content: '### Task:\nGenerate a title.' }], stream: false, max_completion_tokens: 1000 }
  t.is((await passes(api, title)).request.maxTokens, 1000)
})

test('LangChain: a tool that must be called, its result, and a structured answer', async (t) => {
  const api = await openStrict(t)
  api.service.answer = () => [...call('call_1', 'Weather', '{"city": "Oslo"}'), done({ finish: 'tool_calls' })]
  const tools = [{ type: 'function', function: { name: 'Weather', description: 'of a city', parameters: WEATHER, strict: true } }]
  const forced = {
    messages: [{ content: 'Weather in Oslo?', role: 'user' }],
    model: 'fake-model',
    n: 1,
    logprobs: false,
    stream: false,
    temperature: 1,
    top_p: 1,
    frequency_penalty: 0,
    presence_penalty: 0,
    parallel_tool_calls: false,
    tool_choice: { type: 'function', function: { name: 'Weather' } },
    tools,
  }
  const { response, request } = await passes(api, forced)
  t.like(request.tools, { choice: { name: 'Weather' }, parallel: false })
  t.deepEqual(request.tools?.definitions[0]?.parameters, WEATHER)
  const answer = (await response.json()) as { choices: [{ message: object }] }
  const results = {
    messages: [
      ...forced.messages,
      answer.choices[0].message,
      { content: 'cold', role: 'tool', tool_call_id: 'call_1', name: 'Weather' },
    ],
    model: 'fake-model',
    stream: true,
    tools,
  }
  const { messages } = await passes(api, results)
  t.deepEqual(messages.slice(1), [
    { role: 'assistant', content: '', toolCalls: [{ id: 'call_1', name: 'Weather', arguments: '{"city": "Oslo"}' }] },
    { role: 'tool', content: 'cold', name: 'Weather', toolCallId: 'call_1' },
  ])
  const structured = {
    messages: [{ content: 'Weather in Oslo?', role: 'user' }],
    model: 'fake-model',
    stream: false,
    response_format: { type: 'json_schema', json_schema: { name: 'Weather', description: 'of a city', strict: true, schema: WEATHER } },
  }
  t.deepEqual((await passes(api, structured)).request.constraint, { kind: 'json_schema', schema: WEATHER })
  const older = { ...forced, parallel_tool_calls: undefined, tools: undefined, tool_choice: undefined, functions: [{ name: 'Weather', parameters: WEATHER }], function_call: { name: 'Weather' } }
  t.like((await passes(api, older)).request.tools, { choice: { name: 'Weather' }, parallel: false })
})

test('AI SDK: a stream of calls, their results as JSON, reasoning sent back, and an object', async (t) => {
  const api = await openStrict(t)
  api.service.answer = () => [delta('Let me see.'), ...call('call_2', 'weather', '{"city":', '"Bergen"}'), done({ finish: 'tool_calls' })]
  const body = {
    model: 'fake-model',
    max_completion_tokens: 400,
    messages: [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'Weather?' }] },
      { role: 'assistant', content: '', reasoning_content: 'Ask.', tool_calls: [madeCall('call_1', 'weather', '{"city":"Oslo"}')] },
      { role: 'tool', tool_call_id: 'call_1', content: '{"type":"text","value":"cold"}' },
    ],
    tools: [{ type: 'function', function: { name: 'weather', description: 'of a city', parameters: WEATHER, strict: true } }],
    tool_choice: 'auto',
    user: 'u1',
    store: false,
    metadata: { app: 'a' },
    service_tier: 'auto',
    verbosity: 'low',
    safety_identifier: 's',
    prompt_cache_key: 'thread-1',
    stream: true,
    stream_options: { include_usage: true },
  }
  const { response, request, messages } = await passes(api, body)
  t.is(request.conversationHint, 'thread-1')
  t.is(messages[0]?.role, 'system')
  t.deepEqual(messages[2], { role: 'assistant', content: '', reasoning: 'Ask.', toolCalls: [{ id: 'call_1', name: 'weather', arguments: '{"city":"Oslo"}' }] })
  t.deepEqual(callsOf(await chunksOf(response)), [{ id: 'call_2', name: 'weather', arguments: '{"city":"Bergen"}' }])
  const object = {
    model: 'fake-model',
    messages: [{ role: 'system', content: 'JSON.' }, { role: 'user', content: 'Weather?' }],
    response_format: { type: 'json_schema', json_schema: { schema: WEATHER, strict: true, name: 'response' } },
  }
  t.deepEqual((await passes(api, object)).request.constraint, { kind: 'json_schema', schema: WEATHER })
})
