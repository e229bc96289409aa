// POST /v1/messages: what comes back, whole and event by event, raw and as Anthropic's own client reads it.

import test from 'ava'
import { ApiError } from '../../../ts/protocol/errors.js'
import type { StreamEvent } from '../../../ts/surfaces/anthropic/schemas/message.js'
import { StreamEvent as StreamEventSchema, MessageResponse } from '../../../ts/surfaces/anthropic/schemas/message.js'
import { openTestApi, type TestApi } from '../support/api.js'
import { call, delta, done, reasoning, usage } from '../support/fake-service.js'
import { anthropicClient, doneWithCalls, namedEvents } from '../support/scripts.js'

const MESSAGES = '/v1/messages'
const HELLO = { model: 'fake-model', max_tokens: 50, messages: [{ role: 'user' as const, content: 'Say hello' }] }

async function open(t: { teardown: (close: () => Promise<void>) => void }): Promise<TestApi> {
  const api = await openTestApi()
  t.teardown(() => api.close())
  return api
}

async function streamed(api: TestApi, more: object = {}): Promise<StreamEvent[]> {
  const text = await (await api.post(MESSAGES, { ...HELLO, ...more, stream: true })).text()
  return namedEvents<StreamEvent>(text).map(({ name, data }) => {
    if (name !== data.type) throw new Error(`the event ${name} has the type ${data.type}`)
    return StreamEventSchema.parse(data)
  })
}

test('a text is a message with one block, an end and a usage whose parts are the prompt', async (t) => {
  const api = await open(t)
  const response = await api.post(MESSAGES, HELLO)
  t.is(response.status, 200)
  const body = MessageResponse.parse(await response.json())
  t.regex(body.id, /^msg_[0-9a-f]{32}$/)
  t.like(body, { type: 'message', role: 'assistant', model: 'fake-model', stop_reason: 'end_turn', stop_sequence: null })
  t.deepEqual(body.content, [{ type: 'text', text: 'Hello you' }])
  t.deepEqual(body.usage, {
    input_tokens: 12,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 88,
    output_tokens: 5,
    output_tokens_details: { thinking_tokens: 0 },
  })
  t.is(response.headers.get('x-conversation-id'), 'conv_fake')
})

test('computed tokens count as written to the cache where the request has a cache marker, wherever it stands', async (t) => {
  const api = await open(t)
  const marker = { cache_control: { type: 'ephemeral' } }
  const places = [
    marker,
    { system: [{ type: 'text', text: 'Be brief.', ...marker }] },
    { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi', ...marker }] }] },
    { tools: [{ name: 'f', input_schema: { type: 'object' }, ...marker }] },
    { messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'x', ...marker }] }] }] },
  ]
  for (const place of places) {
    const { usage: counted } = (await (await api.post(MESSAGES, { ...HELLO, ...place })).json()) as { usage: Record<string, number> }
    t.like(counted, { input_tokens: 0, cache_creation_input_tokens: 12, cache_read_input_tokens: 88 }, JSON.stringify(place))
    t.false(JSON.stringify(api.service.lastRequest, (_, value: unknown) => (typeof value === 'bigint' ? 0 : value)).includes('ephemeral'))
  }
})

test('the events of a text come in order: a start with type, role, no content and the prompt’s length; one block; its end; the usage', async (t) => {
  const api = await open(t)
  const events = await streamed(api)
  t.deepEqual(
    events.map(({ type }) => type),
    ['message_start', 'content_block_start', 'content_block_delta', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop'],
  )
  const [start, blockStart, first, second, stop, end] = events
  t.like(start, {
    message: { type: 'message', role: 'assistant', model: 'fake-model', stop_reason: null, stop_sequence: null },
  })
  t.deepEqual(start?.type === 'message_start' && start.message.content, [])
  t.is(start?.type === 'message_start' && start.message.usage.input_tokens, 100)
  t.deepEqual(blockStart, { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } })
  t.deepEqual(first, { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello' } })
  t.deepEqual(second, { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: ' you' } })
  t.deepEqual(stop, { type: 'content_block_stop', index: 0 })
  t.like(end, { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { input_tokens: 12, cache_read_input_tokens: 88, output_tokens: 5 } })
})

test('thinking, text and calls are blocks of their own, numbered from 0, and one is open at a time', async (t) => {
  const api = await open(t)
  api.service.answer = () => [
    reasoning('Which '),
    reasoning('city?'),
    delta('I look.'),
    ...call('call_1', 'weather', '{"city":', '"Rome"}'),
    ...call('call_2', 'now'),
    done({ finish: 'tool_calls', usage: usage({ reasoningTokens: 3 }) }),
  ]
  const events = await streamed(api)
  let openIndex = -1
  for (const event of events) {
    if (event.type === 'content_block_start') {
      t.is(openIndex, -1)
      openIndex = event.index
    }
    if (event.type === 'content_block_delta') t.is(event.index, openIndex)
    if (event.type === 'content_block_stop') {
      t.is(event.index, openIndex)
      openIndex = -1
    }
  }
  const starts = events.flatMap((event) => (event.type === 'content_block_start' ? [[event.index, event.content_block]] : []))
  t.deepEqual(starts as unknown[], [
    [0, { type: 'thinking', thinking: '', signature: '' }],
    [1, { type: 'text', text: '' }],
    [2, { type: 'tool_use', id: 'call_1', name: 'weather', input: {} }],
    [3, { type: 'tool_use', id: 'call_2', name: 'now', input: {} }],
  ])
  const deltas = events.flatMap((event) => (event.type === 'content_block_delta' ? [event.delta] : []))
  t.deepEqual(deltas.map(({ type }) => type), ['thinking_delta', 'thinking_delta', 'signature_delta', 'text_delta', 'input_json_delta', 'input_json_delta'])
  t.like(deltas[4], { partial_json: '{"city":' })
  t.like(events.at(-2), { delta: { stop_reason: 'tool_use' }, usage: { output_tokens_details: { thinking_tokens: 3 } } })
})

test('a whole message has the same blocks as its stream, with inputs as objects and a signature', async (t) => {
  const api = await open(t)
  api.service.answer = () => [reasoning('Hm.'), ...call('call_1', 'weather', '{"city":', '"Rome"}'), ...call('call_2', 'now'), doneWithCalls()]
  const client = anthropicClient(api.url)
  const whole = await client.messages.create(HELLO)
  const live = await client.messages.stream(HELLO).finalMessage()
  t.deepEqual(live.content, whole.content)
  t.is(whole.stop_reason, 'tool_use')
  t.is(live.stop_reason, 'tool_use')
  const [thinking, weather, now] = whole.content
  t.true(thinking?.type === 'thinking' && thinking.thinking === 'Hm.' && thinking.signature.length > 0)
  t.like(weather, { type: 'tool_use', id: 'call_1', name: 'weather', input: { city: 'Rome' } })
  t.like(now, { input: {} })
  t.deepEqual(live.usage.cache_read_input_tokens, 88)
  t.deepEqual(live.usage.input_tokens, 12)
})

test('arguments that were cut off are told as text, not as an empty input', async (t) => {
  const api = await open(t)
  api.service.answer = () => [...call('call_1', 'weather', '{"city": "Ro'), done({ finish: 'length' })]
  const message = await anthropicClient(api.url).messages.create(HELLO)
  t.like(message.content[0], { type: 'tool_use', input: { INVALID_JSON: '{"city": "Ro' } })
  t.is(message.stop_reason, 'max_tokens')
})

test('every reason to end has its word', async (t) => {
  const api = await open(t)
  const reasons = [
    [done(), 'end_turn', null],
    [done({ finish: 'length' }), 'max_tokens', null],
    [done({ stopReason: 'END' }), 'stop_sequence', 'END'],
    [done({ stopReason: 7 }), 'end_turn', null],
    [done({ finish: 'none_allowed' }), 'end_turn', null],
  ] as const
  for (const [end, stop_reason, stop_sequence] of reasons) {
    api.service.answer = () => [delta('x'), end]
    t.like(await (await api.post(MESSAGES, HELLO)).json(), { stop_reason, stop_sequence })
    t.like((await streamed(api)).at(-2), { delta: { stop_reason, stop_sequence } })
  }
})

test('an answer without a token is a message without a block', async (t) => {
  const api = await open(t)
  api.service.answer = () => [delta('', { tokens: [1] }), done()]
  t.like(await (await api.post(MESSAGES, HELLO)).json(), { content: [] as unknown[], stop_reason: 'end_turn' })
  t.deepEqual((await streamed(api)).map(({ type }) => type), ['message_start', 'message_delta', 'message_stop'])
})

test('thinking whose text is left out comes back by its signature', async (t) => {
  const api = await open(t)
  api.service.answer = () => [reasoning('A secret plan.'), delta('Done.'), done()]
  const thinking = { type: 'adaptive' as const, display: 'omitted' as const }
  const client = anthropicClient(api.url)
  const { content } = await client.messages.create({ ...HELLO, thinking })
  const [block] = content
  t.true(block?.type === 'thinking' && block.thinking === '' && block.signature !== '')
  t.deepEqual((await client.messages.stream({ ...HELLO, thinking }).finalMessage()).content, content)
  await client.messages.create({ ...HELLO, messages: [...HELLO.messages, { role: 'assistant', content }, { role: 'user', content: 'Go on.' }] })
  const { prompt } = api.service.lastRequest
  t.like(prompt.kind === 'chat' && prompt.messages[1], { role: 'assistant', reasoning: 'A secret plan.' })
})

test('a failure after the first event is an error event of Anthropic’s, which its client throws', async (t) => {
  const api = await open(t)
  api.service.answer = () => [delta('Hel'), new ApiError('draining', 'The server is shutting down.')]
  const text = await (await api.post(MESSAGES, { ...HELLO, stream: true })).text()
  const error = { type: 'overloaded_error', message: 'The server is shutting down.' }
  t.true(text.endsWith(`event: error\ndata: ${JSON.stringify({ type: 'error', error })}\n\n`), text)
  await t.throwsAsync(anthropicClient(api.url).messages.stream(HELLO).finalMessage(), { message: /overloaded_error/ })
})

test('while no token comes, the sign of life is a ping', async (t) => {
  const api = await openTestApi({ stream: { keepAliveMs: 1 } })
  t.teardown(() => api.close())
  api.service.answer = () => []
  const started = api.service.nextTurn()
  const response = await api.post(MESSAGES, { ...HELLO, stream: true })
  const turn = await started
  let text = ''
  for await (const piece of (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
    text += piece
    if (text.includes('event: ping\ndata: {"type":"ping"}\n\n')) turn.push(done())
  }
  t.true(text.startsWith('event: message_start\n') && text.endsWith('event: message_stop\ndata: {"type":"message_stop"}\n\n'))
})

test('a client that goes away ends the turn', async (t) => {
  const api = await open(t)
  api.service.answer = () => [delta('Hel')]
  const started = api.service.nextTurn()
  const stream = anthropicClient(api.url).messages.stream(HELLO)
  const ended = t.throwsAsync(stream.done(), { message: /aborted/ })
  const turn = await started
  await new Promise<void>((resolve) => stream.once('text', () => resolve()))
  stream.abort()
  await Promise.all([turn.cancelled, ended])
  t.true(turn.isCancelled)
})
