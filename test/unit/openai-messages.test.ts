// Messages in every form in which clients send them back, reasoning, and the variables of templates.

import test from 'ava'
import type { TurnMessage } from '../../ts/service/types.js'
import { errorOf, openTestApi, type TestApi } from './support/api.js'
import { delta, done, reasoning, usage } from './support/fake-service.js'

const CHAT = '/v1/chat/completions'
const HELLO = [{ role: 'user', content: 'Hi' }] as const

async function opened(t: { teardown: (close: () => Promise<void>) => void }): Promise<TestApi> {
  const api = await openTestApi()
  t.teardown(() => api.close())
  return api
}

async function messagesOf(api: TestApi, messages: unknown): Promise<readonly TurnMessage[]> {
  const response = await api.post(CHAT, { messages })
  if (response.status !== 200) throw new Error(await response.text())
  const { prompt } = api.service.lastRequest
  return prompt.kind === 'chat' ? prompt.messages : []
}

const called = (id: string, name: string, text: string) => ({ id, type: 'function', function: { name, arguments: text } })

test('an assistant message keeps its calls, its reasoning and the text beside them', async (t) => {
  const api = await opened(t)
  t.deepEqual(
    await messagesOf(api, [
      { role: 'assistant', content: null, tool_calls: [called('call_1', 'a', '{"x": 1.0}'), called('call_2', 'b', '')] },
      { role: 'assistant', content: 'Text', reasoning_content: 'Why', reasoning: 'Why', tool_calls: [] },
      { role: 'assistant', reasoning: 'Only\ud800' },
      { role: 'assistant', content: '', tool_calls: [{ index: 0, id: 'call_3', function: { name: 'any name', arguments: '{"cut' } }] },
      { role: 'assistant', content: null, refusal: 'No.', audio: null, function_call: null, annotations: [] },
      { role: 'assistant', content: [] },
    ]),
    [
      {
        role: 'assistant',
        content: '',
        toolCalls: [
          { id: 'call_1', name: 'a', arguments: '{"x": 1.0}' },
          { id: 'call_2', name: 'b', arguments: '{}' },
        ],
      },
      { role: 'assistant', content: 'Text', reasoning: 'Why' },
      { role: 'assistant', content: '', reasoning: 'Only\uFFFD' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'call_3', name: 'any name', arguments: '{"cut' }] },
      { role: 'assistant', content: 'No.' },
      { role: 'assistant', content: '' },
    ],
  )
})

test('content parts of every kind of text are read', async (t) => {
  const api = await opened(t)
  const text = (type: string, value: string) => ({ type, text: value, cache_control: { type: 'ephemeral' } })
  t.deepEqual(
    await messagesOf(api, [
      { role: 'user', content: [text('text', 'a'), text('input_text', 'b')] },
      {
        role: 'assistant',
        content: [{ type: 'thinking', thinking: 'Hm.' }, text('output_text', 'c'), { type: 'refusal', refusal: 'd' }],
      },
    ]),
    [
      { role: 'user', content: 'ab' },
      { role: 'assistant', content: 'cd', reasoning: 'Hm.' },
    ],
  )
})

test('the result of a tool is a text or parts, and names its call', async (t) => {
  const api = await opened(t)
  t.deepEqual(
    await messagesOf(api, [
      { role: 'tool', tool_call_id: 'call_1', content: 'cold' },
      { role: 'tool', tool_call_id: 'call_2', name: 'weather', content: [{ type: 'text', text: 'co' }, { type: 'text', text: 'ld' }] },
      { role: 'tool', tool_call_id: 'call_3', content: null },
      { role: 'tool', content: 'unnamed', tool_call_id: '', name: '' },
    ]),
    [
      { role: 'tool', content: 'cold', toolCallId: 'call_1' },
      { role: 'tool', content: 'cold', name: 'weather', toolCallId: 'call_2' },
      { role: 'tool', content: '', toolCallId: 'call_3' },
      { role: 'tool', content: 'unnamed' },
    ],
  )
})

test('bounds inside messages are told with the path of the field', async (t) => {
  const api = await openTestApi({ maxBodyBytes: 8 * 2 ** 20 })
  t.teardown(() => api.close())
  const calls = (...list: unknown[]) => [...HELLO, { role: 'assistant', content: null, tool_calls: list }]
  const cases: ReadonlyArray<readonly [param: string, messages: unknown]> = [
    ['messages.1.tool_calls', calls(...Array.from({ length: 129 }, (_, index) => called(`c${index}`, 'a', '{}')))],
    ['messages.1.tool_calls.0.id', calls(called('', 'a', '{}'))],
    ['messages.1.tool_calls.0.id', calls(called('x'.repeat(257), 'a', '{}'))],
    ['messages.1.tool_calls.0.function.name', calls(called('c', '', '{}'))],
    ['messages.1.tool_calls.0.function.arguments', calls({ id: 'c', type: 'function', function: { name: 'a', arguments: {} } })],
    ['messages.0.tool_call_id', [{ role: 'tool', content: 'x', tool_call_id: 'x'.repeat(257) }]],
    ['messages.0.name', [{ role: 'function', content: 'x' }]],
    ['messages.0.name', [{ role: 'user', content: 'x', name: 'x'.repeat(65) }]],
    ['messages', Array.from({ length: 600 }, () => ({ role: 'assistant', tool_calls: Array.from({ length: 128 }, () => 1) }))],
    ['messages', [{ role: 'user', content: Array.from({ length: 65_537 }, () => ({ type: 'text', text: '' })) }]],
  ]
  for (const [param, messages] of cases) {
    t.deepEqual(await errorOf(await api.post(CHAT, { messages })), { status: 400, code: 'invalid_value', param }, JSON.stringify(messages).slice(0, 100))
  }
})

test('reasoning is told beside the content under both of its names, and counted', async (t) => {
  const api = await opened(t)
  api.service.answer = () => [reasoning('Let me '), reasoning('think.'), delta('42'), done({ usage: usage({ completionTokens: 9, reasoningTokens: 7 }) })]
  const { choices, usage: told } = await api.client.chat.completions.create({ model: 'fake-model', messages: [...HELLO] })
  t.deepEqual(choices[0]?.message as unknown, {
    role: 'assistant',
    content: '42',
    refusal: null,
    reasoning_content: 'Let me think.',
    reasoning: 'Let me think.',
  })
  t.is(told?.completion_tokens_details?.reasoning_tokens, 7)
  api.service.answer = () => [reasoning('Let me'), done({ finish: 'length' })]
  const cut = await api.client.chat.completions.create({ model: 'fake-model', messages: [...HELLO] })
  t.like(cut.choices[0], { finish_reason: 'length', message: { content: null } })
})

test('include_reasoning: false leaves the reasoning out of answer and stream', async (t) => {
  const api = await opened(t)
  api.service.answer = () => [reasoning('Hm.'), delta('42'), done()]
  for (const stream of [false, true]) {
    const text = await (await api.post(CHAT, { messages: HELLO, include_reasoning: false, stream })).text()
    t.true(text.includes('42'))
    t.false(text.includes('"reasoning"') || text.includes('reasoning_content'), text)
  }
})

test('completions tell reasoning tokens of all their prompts', async (t) => {
  const api = await opened(t)
  api.service.answer = () => [delta('x'), done({ usage: usage({ reasoningTokens: 3 }) })]
  const { usage: told } = await api.client.completions.create({ model: 'fake-model', prompt: ['a', 'b'] })
  t.is(told?.completion_tokens_details?.reasoning_tokens, 6)
})

test('variables of the template are those of the request, and the effort is one of them', async (t) => {
  const api = await opened(t)
  const argumentsOf = async (more: object) => {
    const response = await api.post(CHAT, { messages: HELLO, ...more })
    if (response.status !== 200) throw new Error(await response.text())
    return api.service.lastRequest.templateArguments
  }
  t.is(await argumentsOf({}), undefined)
  t.is(await argumentsOf({ chat_template_kwargs: {}, reasoning_effort: null, enable_thinking: null }), undefined)
  t.deepEqual(await argumentsOf({ chat_template_kwargs: { enable_thinking: false, deep: [{ a: null }] } }), { enable_thinking: false, deep: [{ a: null }] })
  t.deepEqual(await argumentsOf({ enable_thinking: true }), { enable_thinking: true })
  t.deepEqual(await argumentsOf({ reasoning_effort: 'high' }), { reasoning_effort: 'high' })
  for (const effort of ['none', 'minimal']) {
    t.deepEqual(await argumentsOf({ reasoning_effort: effort }), { reasoning_effort: effort, enable_thinking: false })
    t.deepEqual(await argumentsOf({ reasoning_effort: effort, enable_thinking: true }), { reasoning_effort: effort, enable_thinking: true })
    t.deepEqual(await argumentsOf({ reasoning_effort: effort, chat_template_kwargs: { enable_thinking: true } }), { reasoning_effort: effort, enable_thinking: true })
  }
  t.deepEqual(await argumentsOf({ enable_thinking: true, reasoning_effort: 'low', chat_template_kwargs: { enable_thinking: false, reasoning_effort: 'high' } }), {
    enable_thinking: false,
    reasoning_effort: 'high',
  })
})

test('variables that a template must not get are refused', async (t) => {
  const api = await opened(t)
  const nested = (levels: number): object => (levels === 0 ? {} : { a: nested(levels - 1) })
  const cases: ReadonlyArray<readonly [param: string, body: object]> = [
    ['chat_template_kwargs', { chat_template_kwargs: [1] }],
    ['chat_template_kwargs', { chat_template_kwargs: 'enable_thinking' }],
    ['chat_template_kwargs', { chat_template_kwargs: { 'a b': 1 } }],
    ['chat_template_kwargs', { chat_template_kwargs: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`v${index}`, 1])) }],
    ['chat_template_kwargs', { chat_template_kwargs: { a: nested(16) } }],
    ['chat_template_kwargs', { chat_template_kwargs: { a: 'x'.repeat(16_384) } }],
    ['chat_template_kwargs.messages', { chat_template_kwargs: { messages: [] } }],
    ['chat_template_kwargs.add_generation_prompt', { chat_template_kwargs: { add_generation_prompt: false } }],
    ['reasoning_effort', { reasoning_effort: 'enormous' }],
    ['enable_thinking', { enable_thinking: 'yes' }],
  ]
  for (const [param, body] of cases) {
    t.deepEqual(await errorOf(await api.post(CHAT, { messages: HELLO, ...body })), { status: 400, code: 'invalid_value', param }, JSON.stringify(body).slice(0, 100))
  }
})

test('session_id and x-session-id name the conversation, and conversation goes before them', async (t) => {
  const api = await opened(t)
  const named = async (body: object, headers: Record<string, string> = {}) => {
    t.is((await api.post(CHAT, { messages: HELLO, ...body }, headers)).status, 200)
    return api.service.lastRequest.conversation
  }
  t.is(await named({ session_id: 's1' }), 's1')
  t.is(await named({}, { 'x-session-id': 's2' }), 's2')
  t.is(await named({ session_id: 's1' }, { 'x-session-id': 's2', 'x-conversation-id': 'c' }), 's1')
  t.is(await named({}, { 'x-session-id': 's2', 'x-conversation-id': 'c' }), 'c')
  t.is(await named({ session_id: 's1', conversation: 'c1' }), 'c1')
  await api.post('/v1/completions', { prompt: 'x', session_id: 's3' })
  t.is(api.service.lastRequest.conversation, 's3')
  const refusal = await errorOf(await api.post(CHAT, { messages: HELLO }, { 'x-session-id': 'has spaces' }))
  t.deepEqual(refusal, { status: 400, code: 'invalid_value', param: 'x-session-id' })
  t.is((await errorOf(await api.post(CHAT, { messages: HELLO, session_id: 'has spaces' }))).param, 'session_id')
})
