// Tools through the openai client: what reaches the service, and how calls are told.

import test from 'ava'
import type { ChatCompletionChunk, ChatCompletionCreateParamsNonStreaming, ChatCompletionMessageParam, ChatCompletionTool } from 'openai/resources/chat/completions'
import type { TurnRequest } from '../../ts/service/types.js'
import { errorOf, openTestApi, type TestApi } from './support/api.js'
import { call, delta, done, reasoning } from './support/fake-service.js'

const CHAT = '/v1/chat/completions'
const HELLO = [{ role: 'user', content: 'Hi' }] as const
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }

const tool = (name: string, more: object = {}): ChatCompletionTool => ({ type: 'function', function: { name, parameters: PARAMETERS, ...more } })
const asking = (more: object): ChatCompletionCreateParamsNonStreaming => ({ model: 'fake-model', messages: [...HELLO], ...more })

async function opened(t: { teardown: (close: () => Promise<void>) => void }): Promise<TestApi> {
  const api = await openTestApi()
  t.teardown(() => api.close())
  return api
}

async function toolsOf(api: TestApi, more: object): Promise<TurnRequest['tools']> {
  const response = await api.post(CHAT, { messages: HELLO, ...more })
  if (response.status !== 200) throw new Error(await response.text())
  return api.service.lastRequest.tools
}

test('tools reach the service with their schemas, the choice and the wish for one call at a time', async (t) => {
  const api = await opened(t)
  const tools = [tool('weather', { description: 'of a city\ud800', strict: true }), { type: 'function', function: { name: 'now' } }]
  t.deepEqual(await toolsOf(api, { tools, parallel_tool_calls: false }), {
    definitions: [
      { name: 'weather', description: 'of a city\uFFFD', parameters: PARAMETERS, strict: true },
      { name: 'now', parameters: null, strict: false },
    ],
    choice: 'auto',
    parallel: false,
  })
})

test('each form of tool_choice is understood', async (t) => {
  const api = await opened(t)
  const tools = [tool('a'), tool('b'), tool('c')]
  const choiceOf = async (choice: unknown) => {
    const asked = await toolsOf(api, { tools, tool_choice: choice })
    return [asked?.choice, (asked?.allowed ?? asked?.definitions.map(({ name }) => name))?.join(''), asked?.definitions.length]
  }
  for (const choice of ['none', 'auto', 'required']) t.deepEqual(await choiceOf(choice), [choice, 'abc', 3])
  t.deepEqual(await choiceOf(null), ['auto', 'abc', 3])
  t.deepEqual(await choiceOf({ type: 'function', function: { name: 'b' } }), [{ name: 'b' }, 'abc', 3])
  const allowing = (mode: string, ...names: string[]) => ({
    type: 'allowed_tools',
    allowed_tools: { mode, tools: names.map((name) => ({ type: 'function', function: { name } })) },
  })
  t.deepEqual(await choiceOf(allowing('auto', 'a', 'c')), ['auto', 'ac', 3])
  t.deepEqual(await choiceOf(allowing('required', 'b')), ['required', 'b', 3])
  t.deepEqual(await choiceOf(allowing('auto')), ['none', 'abc', 3], 'a list that allows none')
})

test('a request without tools has none, however its client says so', async (t) => {
  const api = await opened(t)
  for (const more of [
    {},
    { tools: [] },
    { tools: null, tool_choice: null, parallel_tool_calls: null },
    { tools: [], tool_choice: 'auto', parallel_tool_calls: true },
    { tool_choice: 'none' },
    { functions: [], function_call: 'auto' },
    { function_call: 'none' },
  ]) {
    t.is(await toolsOf(api, more), undefined, JSON.stringify(more))
  }
})

test('tools that contradict each other are refused with the field', async (t) => {
  const api = await opened(t)
  const tools = [tool('a'), tool('b')]
  const named = (name: string) => ({ type: 'function', function: { name } })
  const functions = [{ name: 'a' }]
  const cases: ReadonlyArray<readonly [param: string, body: object]> = [
    ['tool_choice', { tool_choice: 'auto' }],
    ['tool_choice', { tool_choice: 'required' }],
    ['tool_choice', { tools: [], tool_choice: 'required' }],
    ['tool_choice', { tools, tool_choice: named('c') }],
    ['tool_choice', { tools, tool_choice: 'always' }],
    ['tool_choice.allowed_tools.tools.1', { tools, tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [named('a'), named('c')] } } }],
    ['tool_choice.allowed_tools.tools', { tools, tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [] } } }],
    ['tools.1.function', { tools: [tool('a'), tool('a')] }],
    ['functions', { tools, functions }],
    ['function_call', { function_call: 'auto' }],
    ['function_call', { functions, function_call: { name: 'b' } }],
    ['tool_choice', { functions, tool_choice: 'required' }],
  ]
  for (const [param, body] of cases) {
    t.deepEqual(await errorOf(await api.post(CHAT, { messages: HELLO, ...body })), { status: 400, code: 'invalid_value', param }, JSON.stringify(body))
  }
  t.is(api.service.turns.length, 0)
})

test('every bound of tools is told with its field', async (t) => {
  const api = await openTestApi({ maxBodyBytes: 4 * 2 ** 20 })
  t.teardown(() => api.close())
  const nested = (levels: number): object => (levels === 0 ? {} : { items: nested(levels - 1) })
  const cases: ReadonlyArray<readonly [param: string, tools: unknown]> = [
    ['tools', Array.from({ length: 513 }, (_, index) => tool(`t${index}`))],
    ['tools', 'none'],
    ['tools.0.function.name', [tool('')]],
    ['tools.0.function.name', [tool('x'.repeat(65))]],
    ['tools.0.function.name', [tool('a b')]],
    ['tools.0.function.description', [tool('a', { description: 'x'.repeat(65_537) })]],
    ['tools.0.function.parameters', [tool('a', { parameters: nested(128) })]],
    ['tools.0.function.parameters', [tool('a', { parameters: { enum: ['x'.repeat(2 ** 18)] } })]],
    ['tools.0.function.parameters', [tool('a', { parameters: 'object' })]],
    ['tools.0.function.parameters', [tool('a', { parameters: [1] })]],
    ['tools.0.function.strict', [tool('a', { strict: 'yes' })]],
  ]
  for (const [param, tools] of cases) {
    const label = JSON.stringify(tools).slice(0, 100)
    t.deepEqual(await errorOf(await api.post(CHAT, { messages: HELLO, tools })), { status: 400, code: 'invalid_value', param }, label)
  }
  const most = [...Array.from({ length: 510 }, (_, index) => tool(`t${index}`)), tool('x'.repeat(64)), tool('d', { parameters: nested(127) })]
  t.is((await toolsOf(api, { tools: most }))?.definitions.length, 512)
})

test('an answer with calls has them by id, no content, and ends for them', async (t) => {
  const api = await opened(t)
  api.service.answer = () => [...call('call_1', 'weather', '{"city":', '"Oslo"}'), ...call('call_2', 'now', '{}'), done({ finish: 'tool_calls' })]
  const { choices, system_fingerprint: fingerprint } = await api.client.chat.completions.create(asking({ tools: [tool('weather'), tool('now')] }))
  t.deepEqual(choices[0]?.message as unknown, {
    role: 'assistant',
    content: null,
    refusal: null,
    tool_calls: [
      { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
      { id: 'call_2', type: 'function', function: { name: 'now', arguments: '{}' } },
    ],
  })
  t.is(choices[0]?.finish_reason, 'tool_calls')
  t.regex(fingerprint ?? '', /^fp_[0-9a-f]{12}$/)
})

test('content before a call is kept, and an answer that ran out of tokens says so', async (t) => {
  const api = await opened(t)
  api.service.answer = () => [delta('Let me see.'), ...call('call_1', 'weather', '{"ci'), done({ finish: 'length' })]
  const { choices } = await api.client.chat.completions.create(asking({ tools: [tool('weather')] }))
  t.like(choices[0], { finish_reason: 'length', message: { content: 'Let me see.' } })
  t.like(choices[0]?.message.tool_calls?.[0], { function: { arguments: '{"ci' } })
})

test('an answer with calls ends for them also where an end token came last', async (t) => {
  const api = await opened(t)
  api.service.answer = () => [...call('call_1', 'now', '{}'), done({ finish: 'stop' })]
  t.is((await api.client.chat.completions.create(asking({ tools: [tool('now')] }))).choices[0]?.finish_reason, 'tool_calls')
  api.service.answer = () => [delta('x'), done({ finish: 'tool_calls' })]
  t.is((await api.client.chat.completions.create(asking({}))).choices[0]?.finish_reason, 'stop', 'an answer without calls')
})

async function streamed(api: TestApi, more: object): Promise<ChatCompletionChunk[]> {
  const chunks: ChatCompletionChunk[] = []
  const stream = await api.client.chat.completions.create({ ...asking(more), stream: true })
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

const deltas = (chunks: readonly ChatCompletionChunk[]): unknown[] => chunks.map(({ choices }) => choices[0]?.delta)

test('a stream tells id and name of a call once, then pieces of its arguments under its index', async (t) => {
  const api = await opened(t)
  api.service.answer = () => [
    reasoning('Hm.'),
    delta('So:'),
    ...call('call_1', 'weather', '{"city":', '"Oslo"}'),
    ...call('call_2', 'now', '', '{}'),
    done({ finish: 'tool_calls' }),
  ]
  const chunks = await streamed(api, { tools: [tool('weather'), tool('now')] })
  const begin = (index: number, id: string, name: string) => ({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] })
  const piece = (index: number, text: string) => ({ tool_calls: [{ index, function: { arguments: text } }] })
  t.deepEqual(deltas(chunks), [
    { role: 'assistant' },
    { reasoning_content: 'Hm.', reasoning: 'Hm.' },
    { content: 'So:' },
    begin(0, 'call_1', 'weather'),
    piece(0, '{"city":'),
    piece(0, '"Oslo"}'),
    begin(1, 'call_2', 'now'),
    piece(1, '{}'),
    {},
  ])
  t.deepEqual(chunks.map(({ choices }) => choices[0]?.finish_reason).filter(Boolean), ['tool_calls'])
  t.is(new Set(chunks.map(({ system_fingerprint: fingerprint }) => fingerprint)).size, 1)
})

test('the first chunk of a stream begins a content only where the answer cannot be calls alone', async (t) => {
  const api = await opened(t)
  const first = async (more: object) => deltas(await streamed(api, more))[0]
  t.deepEqual(await first({}), { role: 'assistant', content: '' })
  t.deepEqual(await first({ tools: [tool('now')], tool_choice: 'none' }), { role: 'assistant', content: '' })
  t.deepEqual(await first({ tools: [tool('now')] }), { role: 'assistant' })
})

test("the client's own accumulator makes the whole answer of the stream", async (t) => {
  const api = await opened(t)
  const events = () => [...call('call_1', 'weather', '{"ci', 'ty":"Oslo"}'), ...call('call_2', 'now', '{}'), done({ finish: 'tool_calls' })]
  api.service.answer = events
  const whole = await api.client.chat.completions.create(asking({ tools: [tool('weather'), tool('now')] }))
  const runner = api.client.chat.completions.stream({ model: 'fake-model', messages: [...HELLO], tools: [tool('weather'), tool('now')] })
  const { message, finish_reason: finish } = (await runner.finalChatCompletion()).choices[0] ?? {}
  t.is(finish, 'tool_calls')
  t.is(message?.content, null)
  t.deepEqual(
    message?.tool_calls?.map((made) => (made.type === 'function' ? [made.id, made.function.name, made.function.arguments] : made.type)),
    whole.choices[0]?.message.tool_calls?.map((made) => (made.type === 'function' ? [made.id, made.function.name, made.function.arguments] : made.type)),
  )
})

test("the client's loop of calls and results comes to an answer", async (t) => {
  const api = await opened(t)
  api.service.answer = ({ prompt }) => {
    const last = prompt.kind === 'chat' ? prompt.messages.at(-1) : undefined
    if (last?.role === 'tool') return [delta(`It is ${typeof last.content === 'string' ? last.content : ''}.`), done()]
    return [...call('call_9', 'weather', '{"city":"Oslo"}'), done({ finish: 'tool_calls' })]
  }
  const runner = api.client.chat.completions.runTools({
    model: 'fake-model',
    messages: [...HELLO],
    tools: [
      {
        type: 'function',
        function: {
          name: 'weather',
          description: 'of a city',
          parameters: PARAMETERS,
          parse: JSON.parse as (text: string) => { city: string },
          function: ({ city }: { city: string }) => `cold in ${city}`,
        },
      },
    ],
  })
  t.is(await runner.finalContent(), 'It is cold in Oslo.')
  t.deepEqual(api.service.lastRequest.prompt, {
    kind: 'chat',
    messages: [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'call_9', name: 'weather', arguments: '{"city":"Oslo"}' }] },
      { role: 'tool', content: 'cold in Oslo', toolCallId: 'call_9' },
    ],
  })
})

test('functions of older clients are tools, and calls of them are told in the older form', async (t) => {
  const api = await opened(t)
  api.service.answer = () => [...call('call_1', 'weather', '{"city":', '"Oslo"}'), ...call('call_2', 'weather', '{}'), done({ finish: 'tool_calls' })]
  const more = { functions: [{ name: 'weather', parameters: PARAMETERS }], function_call: { name: 'weather' } }
  const { choices } = await api.client.chat.completions.create(asking(more))
  t.deepEqual(api.service.lastRequest.tools, {
    definitions: [{ name: 'weather', parameters: PARAMETERS, strict: false }],
    choice: { name: 'weather' },
    parallel: false,
  })
  t.deepEqual(choices[0]?.message as unknown, {
    role: 'assistant',
    content: null,
    refusal: null,
    function_call: { name: 'weather', arguments: '{"city":"Oslo"}' },
  })
  t.is(choices[0]?.finish_reason, 'function_call')
  const chunks = await streamed(api, more)
  t.deepEqual(deltas(chunks), [
    { role: 'assistant' },
    { function_call: { name: 'weather', arguments: '' } },
    { function_call: { arguments: '{"city":' } },
    { function_call: { arguments: '"Oslo"}' } },
    {},
  ])
  t.is(chunks.at(-1)?.choices[0]?.finish_reason, 'function_call')
})

test('messages of the older form are a call and its result', async (t) => {
  const api = await opened(t)
  const messages: ChatCompletionMessageParam[] = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: null, function_call: { name: 'weather', arguments: '{"city":"Oslo"}' } },
    { role: 'function', name: 'weather', content: 'cold' },
  ]
  await api.client.chat.completions.create({ model: 'fake-model', messages })
  t.deepEqual(api.service.lastRequest.prompt, {
    kind: 'chat',
    messages: [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'call_1', name: 'weather', arguments: '{"city":"Oslo"}' }] },
      { role: 'tool', content: 'cold', name: 'weather', toolCallId: 'call_1' },
    ],
  })
})

test('completions pass over calls and reasoning', async (t) => {
  const api = await opened(t)
  api.service.answer = () => [reasoning('Hm.'), delta('text'), ...call('call_1', 'now', '{}'), done({ finish: 'tool_calls' })]
  const { choices } = await api.client.completions.create({ model: 'fake-model', prompt: 'x' })
  t.like(choices[0], { text: 'text', finish_reason: 'stop' })
  const texts: string[] = []
  const stream = await api.client.completions.create({ model: 'fake-model', prompt: 'x', stream: true })
  for await (const chunk of stream) texts.push(chunk.choices[0]?.text ?? '')
  t.deepEqual(texts, ['text', ''])
})
