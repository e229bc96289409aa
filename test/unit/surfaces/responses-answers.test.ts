// POST /v1/responses: what comes back, whole and event by event, raw and as OpenAI's own client reads it.

import test from 'ava'
import type OpenAI from 'openai'
import { ApiError } from '../../../ts/protocol/errors.js'
import { ResponseBody, ResponseEvent } from '../../../ts/surfaces/responses/schemas/response.js'
import { openTestApi, type TestApi } from '../support/api.js'
import { call, delta, done, reasoning, usage } from '../support/fake-service.js'
import { doneWithCalls, namedEvents } from '../support/scripts.js'

const RESPONSES = '/v1/responses'
const HELLO = { model: 'fake-model', input: 'Say hello' }

async function open(t: { teardown: (close: () => Promise<void>) => void }): Promise<TestApi> {
  const api = await openTestApi()
  t.teardown(() => api.close())
  return api
}

async function whole(api: TestApi, more: object = {}): Promise<ResponseBody> {
  return ResponseBody.parse(await (await api.post(RESPONSES, { ...HELLO, ...more })).json())
}

async function streamed(api: TestApi, more: object = {}): Promise<ResponseEvent[]> {
  const text = await (await api.post(RESPONSES, { ...HELLO, ...more, stream: true })).text()
  if (!text.endsWith('data: [DONE]\n\n')) throw new Error(`no end: ${text}`)
  return namedEvents<ResponseEvent>(text).map(({ name, data }) => {
    if (name !== data.type) throw new Error(`the event ${name} has the type ${data.type}`)
    return ResponseEvent.parse(data)
  })
}

/** Ids and times are another one in each answer. */
function comparable(response: ResponseBody): unknown {
  return JSON.parse(JSON.stringify(response).replace(/"(resp|msg|rs|fc)_[0-9a-f]{32}"/g, '"$1"').replace(/"(created|completed)_at":\d+/g, '"$1_at":0'))
}

test('a text is a completed response with one message, and says every field that shaped it', async (t) => {
  const api = await open(t)
  const response = await api.post(RESPONSES, HELLO)
  const body = ResponseBody.parse(await response.json())
  t.regex(body.id, /^resp_[0-9a-f]{32}$/)
  t.like(body, {
    object: 'response',
    status: 'completed',
    error: null,
    incomplete_details: null,
    model: 'fake-model',
    instructions: null,
    previous_response_id: null,
    tool_choice: 'auto',
    parallel_tool_calls: true,
    temperature: 0.6,
    top_p: 0.95,
    truncation: 'disabled',
    store: true,
    background: false,
    text: { format: { type: 'text' } },
    usage: { input_tokens: 100, input_tokens_details: { cached_tokens: 88 }, output_tokens: 5, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 105 },
  })
  const [message] = body.output
  t.like(message, { type: 'message', role: 'assistant', status: 'completed' })
  t.regex(message?.id ?? '', /^msg_/)
  t.deepEqual(message?.type === 'message' && message.content, [{ type: 'output_text', text: 'Hello you', annotations: [], logprobs: [] }])
  t.true(body.completed_at !== null && body.completed_at >= body.created_at)
  t.is(response.headers.get('x-conversation-id'), 'conv_fake')
})

test('the events of a text come in order, numbered from 0, each with the ids of its response and item', async (t) => {
  const api = await open(t)
  const events = await streamed(api)
  t.deepEqual(
    events.map(({ type }) => type),
    [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ],
  )
  t.deepEqual(events.map(({ sequence_number }) => sequence_number), events.map((_, index) => index))
  const responses = events.flatMap((event) => ('response' in event ? [event.response] : []))
  t.is(new Set(responses.map(({ id }) => id)).size, 1)
  t.deepEqual(responses.map(({ status }) => status), ['in_progress', 'in_progress', 'completed'])
  const ids = events.flatMap((event) => ('item' in event ? [event.item.id] : 'item_id' in event ? [event.item_id] : []))
  t.is(new Set(ids).size, 1)
  t.is(responses.at(-1)?.output[0]?.id, ids[0])
  t.deepEqual(events.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : [])), ['Hello', ' you'])
  t.deepEqual(comparable(responses.at(-1) as ResponseBody), comparable(await whole(api)))
})

test('reasoning, text and calls are items in the order of the answer', async (t) => {
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
  const last = events.at(-1)
  t.true(last?.type === 'response.completed')
  const output = last !== undefined && 'response' in last ? last.response.output : []
  t.deepEqual(output.map((item) => ({ ...item, id: '' })) as unknown[], [
    { type: 'reasoning', id: '', status: 'completed', summary: [], content: [{ type: 'reasoning_text', text: 'Which city?' }] },
    { type: 'message', id: '', status: 'completed', role: 'assistant', content: [{ type: 'output_text', text: 'I look.', annotations: [], logprobs: [] }] },
    { type: 'function_call', id: '', status: 'completed', call_id: 'call_1', name: 'weather', arguments: '{"city":"Rome"}' },
    { type: 'function_call', id: '', status: 'completed', call_id: 'call_2', name: 'now', arguments: '' },
  ])
  const ofItem = (index: number) => events.flatMap((event) => ('output_index' in event && event.output_index === index ? [event.type.replace('response.', '')] : []))
  t.deepEqual(ofItem(0), ['output_item.added', 'content_part.added', 'reasoning_text.delta', 'reasoning_text.delta', 'reasoning_text.done', 'content_part.done', 'output_item.done'])
  t.deepEqual(ofItem(2), ['output_item.added', 'function_call_arguments.delta', 'function_call_arguments.delta', 'function_call_arguments.done', 'output_item.done'])
  t.deepEqual(ofItem(3), ['output_item.added', 'function_call_arguments.done', 'output_item.done'])
  const done2 = events.find((event) => event.type === 'response.function_call_arguments.done')
  t.like(done2, { name: 'weather', arguments: '{"city":"Rome"}' })
  const added = events.filter((event) => event.type === 'response.output_item.added')
  t.like(added[2], { item: { type: 'function_call', call_id: 'call_1', name: 'weather', arguments: '', status: 'in_progress' } })
  t.is(last !== undefined && 'response' in last ? last.response.usage?.output_tokens_details.reasoning_tokens : -1, 3)
  t.deepEqual(comparable((last as { response: ResponseBody }).response), comparable(await whole(api)))
})

test('a reader that knows no delta of reasoning has its text with the part and with the item', async (t) => {
  const api = await open(t)
  api.service.answer = () => [reasoning('Which '), reasoning('city?'), delta('Rome.'), done()]
  const events = await streamed(api)
  const parts = events.flatMap((event) => (event.type === 'response.content_part.done' ? [event.part.text] : []))
  t.deepEqual(parts, ['Which city?', 'Rome.'])
  const [item] = events.flatMap((event) => (event.type === 'response.output_item.done' ? [event.item] : []))
  t.deepEqual(item?.type === 'reasoning' && item.content, [{ type: 'reasoning_text', text: 'Which city?' }])
  const told = events.filter(({ type }) => type.startsWith('response.reasoning')).map(({ type }) => type)
  t.deepEqual([...new Set(told)], ['response.reasoning_text.delta', 'response.reasoning_text.done'], 'one name each: readers of both would show every word twice')
})

test('an answer that was cut off is incomplete, and so is its last item', async (t) => {
  const api = await open(t)
  api.service.answer = () => [reasoning('Hm.'), delta('Once upon'), done({ finish: 'length' })]
  const body = await whole(api, { max_output_tokens: 5 })
  t.like(body, { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, completed_at: null, max_output_tokens: 5 })
  t.deepEqual(body.output.map(({ status }) => status), ['completed', 'incomplete'])
  const events = await streamed(api)
  t.is(events.at(-1)?.type, 'response.incomplete')
  const items = events.flatMap((event) => (event.type === 'response.output_item.done' ? [event.item.status] : []))
  t.deepEqual(items, ['completed', 'incomplete'])
})

test('an answer without a token is a message with an empty text', async (t) => {
  const api = await open(t)
  api.service.answer = () => [delta('', { tokens: [1] }), done()]
  const [message] = (await whole(api)).output
  t.deepEqual(message?.type === 'message' && message.content.map(({ text }) => text), [''])
  t.is((await streamed(api)).filter(({ type }) => type === 'response.output_item.done').length, 1)
})

test('log probabilities come where include asks for them, with each delta and in the whole', async (t) => {
  const api = await open(t)
  const logprobs = [{ token: 72, logprob: -0.5, top: [[72, -0.5], [74, -Infinity]] as const }]
  api.service.answer = () => [delta('', { logprobs: [{ token: 300, logprob: -1, top: [] }] }), delta('H', { logprobs }), done()]
  const include = ['message.output_text.logprobs']
  const expected = [
    { token: '', logprob: -1, bytes: [], top_logprobs: [] },
    { token: 'H', logprob: -0.5, bytes: [72], top_logprobs: [{ token: 'H', logprob: -0.5, bytes: [72] }, { token: 'J', logprob: -9999, bytes: [74] }] },
  ]
  const [message] = (await whole(api, { include, top_logprobs: 2 })).output
  t.deepEqual(message?.type === 'message' && message.content[0]?.logprobs, expected)
  t.is(api.service.lastRequest.sampling.logprobs, 2)
  const events = await streamed(api, { include })
  t.deepEqual(events.flatMap((event) => (event.type === 'response.output_text.delta' ? event.logprobs : [])), expected)
  const [plain] = (await whole(api, { top_logprobs: 2 })).output
  t.deepEqual(plain?.type === 'message' && plain.content[0]?.logprobs, [])
  t.is(api.service.lastRequest.sampling.logprobs, null)
})

test('reasoning comes in a form to carry where include asks for it, and is read when it comes back alone', async (t) => {
  const api = await open(t)
  api.service.answer = () => [reasoning('Which city? 🏙'), delta('Rome.'), done()]
  const include = ['reasoning.encrypted_content']
  const { output } = await whole(api, { include, store: false })
  const [item] = output
  if (item?.type !== 'reasoning') throw new Error('no reasoning')
  t.truthy(item.encrypted_content)
  t.is((await whole(api)).output[0]?.type === 'reasoning' ? undefined : null, undefined)
  const events = await streamed(api, { include })
  const added = events.find((event) => event.type === 'response.output_item.added')
  t.is(added?.type === 'response.output_item.added' && added.item.type === 'reasoning' ? added.item.encrypted_content : null, undefined)
  const { content: _, ...carried } = item
  await whole(api, { input: [{ role: 'user', content: 'Where?' }, carried, output[1], { role: 'user', content: 'Why?' }] })
  const { prompt } = api.service.lastRequest
  t.like(prompt.kind === 'chat' && prompt.messages[1], { role: 'assistant', reasoning: 'Which city? 🏙' })
})

test('a custom tool’s call is its text, told whole', async (t) => {
  const api = await open(t)
  const tools = [{ type: 'custom', name: 'patch', description: 'Changes files.' }]
  api.service.answer = () => [...call('call_1', 'patch', '{"input":"*** Begin', '\\n*** End"}'), doneWithCalls()]
  const [item] = (await whole(api, { tools })).output
  t.like(item, { type: 'custom_tool_call', call_id: 'call_1', name: 'patch', input: '*** Begin\n*** End', status: 'completed' })
  const { tools: asked } = api.service.lastRequest
  t.like(asked?.definitions[0], { name: 'patch', description: 'Changes files.', parameters: { required: ['input'] }, strict: true })
  const types = (await streamed(api, { tools })).flatMap(({ type }) => (type.includes('custom') || type.includes('arguments') ? [type] : []))
  t.deepEqual(types, ['response.custom_tool_call_input.delta', 'response.custom_tool_call_input.done'])
})

test('a failure after the first event is a failed response and the end, and the log has it', async (t) => {
  const api = await open(t)
  api.service.answer = () => [delta('Hel'), new Error('a bug')]
  const events = await streamed(api)
  const last = events.at(-1)
  t.is(last?.type, 'response.failed')
  t.like(last, { response: { status: 'failed', error: { code: 'engine_error', message: 'The server failed to answer. Its log has the reason.' } } })
  t.true(api.log.some((line) => line.includes('request failed')))
  api.service.answer = () => [delta('Hel'), new ApiError('draining', 'The server is shutting down.')]
  t.like((await streamed(api)).at(-1), { response: { status: 'failed', error: { code: 'draining', message: 'The server is shutting down.' } } })
  const response = await api.post(RESPONSES, HELLO)
  t.is(response.status, 503)
  t.like(await response.json(), { error: { code: 'draining', type: 'server_error' } })
})

test('OpenAI’s client reads texts, streams and tools', async (t) => {
  const api = await open(t)
  const client: OpenAI = api.client
  const response = await client.responses.create({ model: 'fake-model', input: [{ role: 'system', content: 'Book' }, { role: 'user', content: 'What is the best book' }], max_output_tokens: 8 })
  t.is(response.output_text, 'Hello you')
  const final = await client.responses.stream(HELLO).finalResponse()
  t.is(final.output_text, 'Hello you')
  let gathered = ''
  const types = new Set<string>()
  for await (const event of await client.responses.create({ ...HELLO, stream: true })) {
    types.add(event.type)
    if (event.type === 'response.output_text.delta') gathered += event.delta
    if (event.type === 'response.completed') t.is(event.response.output.length, 1)
  }
  t.is(gathered, 'Hello you')
  t.true(types.has('response.completed'))
  api.service.answer = () => [...call('call_1', 'weather', '{"city":"Rome"}'), doneWithCalls()]
  const tools = [{ type: 'function' as const, name: 'weather', parameters: { type: 'object' }, strict: false }]
  const withCall = await client.responses.stream({ ...HELLO, tools }).finalResponse()
  t.like(withCall.output[0], { type: 'function_call', name: 'weather', arguments: '{"city":"Rome"}' })
})
