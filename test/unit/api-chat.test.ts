// Chat completions through the openai client.

import test from 'ava'
import { APIError } from 'openai'
import { ApiError } from '../../ts/protocol/errors.js'
import type { Usage } from '../../ts/protocol/index.js'
import { openTestApi } from './support/api.js'
import { delta, done, usage } from './support/fake-service.js'

const HELLO = [{ role: 'user', content: 'Hi' }] as const

test('an answer has the text, the finish reason and the usage', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const { data, response } = await api.client.chat.completions.create({ model: 'fake-model', messages: [...HELLO] }).withResponse()
  t.is(data.object, 'chat.completion')
  t.is(data.model, 'fake-model')
  t.deepEqual(data.choices[0]?.message, { role: 'assistant', content: 'Hello you', refusal: null })
  t.is(data.choices[0]?.finish_reason, 'stop')
  const got = data.usage as unknown as Usage
  t.is(got.prompt_tokens, 100)
  t.is(got.total_tokens, 105)
  t.is(got.prompt_tokens_details.cached_tokens, 88)
  t.deepEqual(got.attentionstore, {
    conversation: 'conv_fake',
    reused_tokens: { hbm: 64, dram: 16, ssd: 8 },
    computed_tokens: 12,
    recomputed_tokens: 0,
    outside_view_tokens: 0,
    miss: { never_seen: 6, reasoning_dropped: 0, prompt_scored: 0, evicted: 3, damaged: 2, outside_view: 0, unknown: 1 },
    queue_ms: 1,
    load_ms: 2,
    prefill_ms: 3,
    ttft_ms: 6,
  })
  t.is(response.headers.get('x-conversation-id'), 'conv_fake')
  t.regex(response.headers.get('x-request-id') ?? '', /^req_/)
})

test('a stream is role, deltas, finish, usage and [DONE]', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const stream = await api.client.chat.completions.create({
    model: 'fake-model',
    messages: [...HELLO],
    stream: true,
    stream_options: { include_usage: true },
  })
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  t.deepEqual(
    chunks.map(({ choices }) => choices[0]?.delta),
    [{ role: 'assistant', content: '' }, { content: 'Hello' }, { content: ' you' }, {}, undefined],
  )
  t.deepEqual(
    chunks.map(({ choices }) => choices[0]?.finish_reason),
    [null, null, null, 'stop', undefined],
  )
  t.deepEqual(chunks.at(-1)?.choices, [])
  t.is(chunks.at(-1)?.usage?.completion_tokens, 5)
  t.is(chunks.at(-2)?.usage, null)
})

test('the wire format of a stream ends with [DONE] and is not to be buffered by proxies', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const response = await api.post('/v1/chat/completions', { messages: HELLO, stream: true })
  t.is(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  t.is(response.headers.get('x-accel-buffering'), 'no')
  const text = await response.text()
  t.true(text.endsWith('\n\ndata: [DONE]\n\n'))
  t.false(text.includes('"usage"'))
})

test('all sampling fields reach the scheduler', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  await api.post('/v1/chat/completions', {
    messages: HELLO,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    min_p: 0.05,
    repetition_penalty: 1.1,
    presence_penalty: 0.2,
    frequency_penalty: -0.3,
    logit_bias: { '17': -100, '3': 5 },
    seed: -1,
    stop: ['END', 'STOP'],
    stop_token_ids: [9],
    ignore_eos: true,
    logprobs: true,
    top_logprobs: 3,
    max_tokens: 10,
    max_completion_tokens: 20,
    cache_salt: 'salt',
    conversation: 'my:conv-1',
    prompt_cache_key: 'hint',
    truncation: 'auto',
  })
  const { requestId, ...request } = api.service.lastRequest
  t.regex(requestId, /^req_/)
  t.deepEqual(request, {
    tenant: '',
    cacheSalt: 'salt',
    conversation: 'my:conv-1',
    conversationHint: 'hint',
    prompt: { kind: 'chat', messages: [{ role: 'user', content: 'Hi' }] },
    sampling: {
      temperature: 0.5,
      topK: 40,
      topP: 0.9,
      minP: 0.05,
      repetitionPenalty: 1.1,
      presencePenalty: 0.2,
      frequencyPenalty: -0.3,
      logitBias: [
        [3, 5],
        [17, -100],
      ],
      seed: 2n ** 64n - 1n,
      logprobs: 3,
    },
    stop: ['END', 'STOP'],
    stopTokens: [9],
    ignoreEos: true,
    retention: 'none',
    maxTokens: 20,
    truncation: 'auto',
  })
})

test("what a request leaves out comes from the model, then from OpenAI's defaults", async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  await api.post('/v1/chat/completions', { messages: HELLO, temperature: null, top_k: -1, prompt_cache_key: 'no id!' })
  const first = api.service.lastRequest
  t.like(first.sampling, { temperature: 0.6, topP: 0.95, topK: 0, minP: 0, repetitionPenalty: 1, logprobs: null })
  t.is(first.maxTokens, null)
  t.is(first.conversation, null)
  t.is(first.conversationHint, null)
  await api.post('/v1/chat/completions', { messages: HELLO })
  t.not(api.service.lastRequest.sampling.seed, first.sampling.seed)
})

test('content parts follow each other, developer is system, half surrogates become U+FFFD', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  await api.post('/v1/chat/completions', {
    messages: [
      { role: 'developer', content: 'be brief' },
      { role: 'user', name: 'Ann', content: [{ type: 'text', text: 'one ' }, { type: 'text', text: 'two\ud800' }] },
      { role: 'assistant', content: null },
    ],
  })
  t.deepEqual(api.service.lastRequest.prompt, {
    kind: 'chat',
    messages: [
      { role: 'system', content: 'be brief' },
      { role: 'user', name: 'Ann', content: 'one two\uFFFD' },
      { role: 'assistant', content: '' },
    ],
  })
})

test('log probabilities come in the format of chat completions', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const logprobs = [{ token: 0xc3, logprob: -0.5, top: [[0xc3, -0.5], [65, Number.NEGATIVE_INFINITY]] as const }]
  api.service.answer = () => [delta('', { logprobs }), done()]
  const answer = await api.client.chat.completions.create({ model: 'fake-model', messages: [...HELLO], logprobs: true, top_logprobs: 2 })
  const choice = { token: '\uFFFD', logprob: -0.5, bytes: [0xc3] }
  t.deepEqual(answer.choices[0]?.logprobs as unknown, {
    content: [{ ...choice, top_logprobs: [choice, { token: 'A', logprob: -9999, bytes: [65] }] }],
    refusal: null,
  })
})

test('a stop string or token is named as the stop reason', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = () => [done({ stopReason: 'END' })]
  const answer = await api.client.chat.completions.create({ model: 'fake-model', messages: [...HELLO] })
  t.like(answer.choices[0], { finish_reason: 'stop', stop_reason: 'END' })
})

test('an error before the first byte has its status', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = () => new ApiError('context_length_exceeded', '3000 tokens, 2048 fit', 'messages')
  const create = api.client.chat.completions.create({ model: 'fake-model', messages: [...HELLO], stream: true })
  const error = await t.throwsAsync(create, { instanceOf: APIError })
  t.is(error?.status, 400)
  t.is(error?.code, 'context_length_exceeded')
  t.is(error?.param, 'messages')
})

test('an error after the first byte is an event, and there is no [DONE]', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = () => [delta('Hel'), new ApiError('engine_error', 'the engine stopped')]
  const text = await (await api.post('/v1/chat/completions', { messages: HELLO, stream: true })).text()
  t.false(text.includes('[DONE]'))
  const last = text.trimEnd().split('\n\n').at(-1) ?? ''
  t.deepEqual(JSON.parse(last.slice('data: '.length)), {
    error: { message: 'the engine stopped', type: 'server_error', param: null, code: 'engine_error' },
  })
  const stream = await api.client.chat.completions.create({ model: 'fake-model', messages: [...HELLO], stream: true })
  await t.throwsAsync(async () => {
    for await (const _ of stream);
  }, { instanceOf: APIError })
})

test('an unexpected error tells the client nothing about itself', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = () => [new TypeError('secret of the house')]
  const response = await api.post('/v1/chat/completions', { messages: HELLO })
  t.is(response.status, 500)
  t.false((await response.text()).includes('secret'))
})

test('a client that goes away cancels its turn, streaming or not', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = () => [delta('Hel')]
  for (const stream of [true, false]) {
    const gone = new AbortController()
    const started = api.service.nextTurn()
    const response = fetch(`${api.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ messages: HELLO, stream }),
      signal: gone.signal,
    })
    const turn = await started
    gone.abort()
    await t.throwsAsync(async () => (await response).text(), { any: true })
    await turn.cancelled
    t.pass()
  }
})

test('a client that does not read is cut off at the bound', async (t) => {
  const api = await openTestApi({ stream: { maxBufferedBytes: 64 * 1024 } })
  t.teardown(() => api.close())
  const piece = 'x'.repeat(1024 * 1024)
  api.service.answer = () => Array.from({ length: 64 }, () => delta(piece))
  const started = api.service.nextTurn()
  const { port, hostname } = new URL(api.url)
  const { connect } = await import('node:net')
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  socket.pause()
  const body = JSON.stringify({ messages: HELLO, stream: true })
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  const turn = await started
  await turn.cancelled
  t.regex(await (await fetch(`${api.url}/metrics`)).text(), /^attentionstore_streams_cut_off_total 1$/m)
})

test('a quiet stream is kept alive by comments', async (t) => {
  const api = await openTestApi({ stream: { keepAliveMs: 1 } })
  t.teardown(() => api.close())
  api.service.answer = () => []
  const started = api.service.nextTurn()
  const response = await api.post('/v1/chat/completions', { messages: HELLO, stream: true })
  const turn = await started
  let text = ''
  for await (const bytes of response.body ?? []) {
    text += Buffer.from(bytes as Uint8Array).toString()
    if (text.includes(': keep-alive\n\n: keep-alive\n\n')) turn.push(done({ usage: usage({ completionTokens: 0 }) }))
  }
  t.true(text.endsWith('data: [DONE]\n\n'))
})

test('a model without a chat template refuses messages', async (t) => {
  const api = await openTestApi({}, { hasChatTemplate: false })
  t.teardown(() => api.close())
  const response = await api.post('/v1/chat/completions', { messages: HELLO })
  t.is(response.status, 400)
})

test('draining and a full queue say when to come back', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = () => new ApiError('queue_full', 'full', null, { retry_after: 7 })
  const full = await api.post('/v1/chat/completions', { messages: HELLO })
  t.deepEqual([full.status, full.headers.get('retry-after')], [429, '7'])
  api.service.ready = false
  const draining = await api.post('/v1/chat/completions', { messages: HELLO })
  t.deepEqual([draining.status, draining.headers.get('retry-after')], [503, '10'])
})
