// `n` on the routes of OpenAI's API.

import test from 'ava'
import type OpenAI from 'openai'
import type { Usage } from '../../../ts/protocol/index.js'
import { seedOfChoice } from '../../../ts/surfaces/choices.js'
import { errorOf, openTestApi } from '../support/api.js'
import { call, delta, done, usage } from '../support/fake-service.js'
import { openSimulatedApi } from '../support/simulated-api.js'

const CHAT = '/v1/chat/completions'
const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Hi' }]
const chatBody = { model: 'fake-model', messages }

test('a chat with n has a choice for each answer, one conversation, and a usage that counts the prompt once', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = ({ requestId }) => {
    const text = requestId.slice(-1)
    return [delta(text), done({ finish: text === '1' ? 'length' : 'stop', usage: usage({ promptTokens: 10, completionTokens: 5, ttftMs: Number(text) }) })]
  }
  const response = await api.post(CHAT, { ...chatBody, n: 3 }, { 'x-request-id': 'req' })
  const body = (await response.json()) as OpenAI.ChatCompletion
  t.deepEqual(body.choices.map(({ index, message, finish_reason: finish }) => [index, message.content, finish]), [
    [0, '0', 'stop'],
    [1, '1', 'length'],
    [2, '2', 'stop'],
  ])
  t.is(body.usage?.prompt_tokens, 10)
  t.is(body.usage?.completion_tokens, 15)
  t.is(body.usage?.total_tokens, 25)
  t.like(body.usage, { attentionstore: { ttft_ms: 2 } })
  t.is(response.headers.get('x-conversation-id'), 'conv_fake')
  t.deepEqual(api.service.turns.map(({ request }) => request.requestId), ['req-0', 'req-1', 'req-2'])
})

test('each answer has its own seed: the first the one that was given', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  await api.post(CHAT, { ...chatBody, n: 3, seed: -1 })
  const given = 2n ** 64n - 1n
  t.deepEqual(api.service.turns.map(({ request }) => request.sampling.seed), [0, 1, 2].map((choice) => seedOfChoice(given, choice)))
  await api.post(CHAT, { ...chatBody, seed: -1 })
  t.is(api.service.lastRequest.sampling.seed, given)
})

test('the stream of a chat with n begins and ends each choice, tells log probabilities and calls under its index, and ends with one usage', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = ({ requestId }) => {
    const logprobs = [{ token: 65, logprob: -1, top: [] }]
    const answer = requestId.endsWith('0') ? [delta('Hello', { logprobs })] : call('c1', 'weather', '{"a":', '1}')
    return [...answer, done({ finish: 'stop', usage: usage({ promptTokens: 10, completionTokens: 5 }) })]
  }
  const tools = [{ type: 'function' as const, function: { name: 'weather' } }]
  const stream = await api.client.chat.completions.create({ ...chatBody, n: 2, tools, logprobs: true, stream: true, stream_options: { include_usage: true } })
  const seen: string[][] = [[], []]
  const usages: Array<OpenAI.CompletionUsage> = []
  for await (const { choices, usage: told } of stream) {
    if (told) usages.push(told)
    for (const { index, delta: piece, logprobs, finish_reason: finish } of choices) {
      const calls = (piece.tool_calls ?? []).map((called) => `${called.index}:${called.function?.name ?? ''}${called.function?.arguments ?? ''}`)
      const told = [piece.role, piece.content, ...calls, logprobs?.content?.map(({ logprob }) => logprob).join(), finish].filter((part) => part !== undefined && part !== null)
      seen[index]?.push(told.join(' '))
    }
  }
  t.deepEqual(seen, [
    ['assistant', 'Hello -1', 'stop'],
    ['assistant', '0:weather', '0:{"a":', '0:1}', 'tool_calls'],
  ])
  t.is(usages.length, 1)
  t.like(usages[0], { prompt_tokens: 10, completion_tokens: 10 })
})

test('completions number their choices by prompt, then by answer', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = ({ prompt, requestId }) => {
    const text = prompt.kind === 'text' ? prompt.text : ''
    return [delta(`${text}${requestId.slice(-1)}`), done({ usage: usage({ promptTokens: text === 'a' ? 10 : 20, completionTokens: 3 }) })]
  }
  const body = { model: 'fake-model', prompt: ['a', 'b'], n: 2, best_of: 2 }
  const whole = await api.client.completions.create(body)
  t.deepEqual(whole.choices.map(({ index, text }) => `${index} ${text}`), ['0 a0', '1 a1', '2 b2', '3 b3'])
  t.like(whole.usage, { prompt_tokens: 30, completion_tokens: 12, total_tokens: 42 })
  const texts = ['', '', '', '']
  let told: unknown
  for await (const { choices, usage: last } of await api.client.completions.create({ ...body, stream: true, stream_options: { include_usage: true } })) {
    for (const { index, text } of choices) texts[index] += text
    told = last ?? told
  }
  t.deepEqual(texts, ['a0', 'a1', 'b2', 'b3'])
  t.like(told, { prompt_tokens: 30, completion_tokens: 12 })
})

test('answers over the limits are refused, and the refusal names field and limit', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const refusal = async (path: string, body: object) => {
    const response = await api.post(path, body)
    const { error } = (await response.json()) as { error: { code: string; param: string; message: string } }
    t.is(response.status, 400)
    return `${error.code} ${error.param}: ${error.message}`
  }
  t.regex(await refusal(CHAT, { ...chatBody, n: 17 }), /^invalid_value n: .*16/)
  t.regex(await refusal(CHAT, { ...chatBody, n: 0 }), /^invalid_value n: .*1/)
  t.regex(await refusal(CHAT, { ...chatBody, n: 1.5 }), /^invalid_value n: /)
  t.regex(await refusal('/v1/completions', { prompt: Array.from({ length: 9 }, () => 'a'), n: 15 }), /^invalid_value n: .*135 answers; the limit is 128/)
  t.regex(await refusal('/v1/completions', { prompt: 'a', n: 2, best_of: 4 }), /^unsupported_parameter best_of: .*1 or n, which is 2/)
  t.regex(await refusal('/v1/completions', { prompt: 'a', best_of: 2 }), /^unsupported_parameter best_of: /)
  t.is(api.service.turns.length, 0)
  for (const body of [{ n: 16 }, { n: null, best_of: null }, { n: 1, best_of: 1 }, { n: 2, best_of: 1 }, { n: 2, best_of: 2 }]) {
    t.is((await api.post(CHAT, { ...chatBody, ...body })).status, 200, JSON.stringify(body))
  }
})

test('a client that goes cancels all answers', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = () => [delta('more')]
  for (const stream of [true, false]) {
    const controller = new AbortController()
    const started = api.service.nextTurn()
    const body = JSON.stringify({ ...chatBody, n: 3, stream })
    const headers = { 'content-type': 'application/json' }
    const asked = fetch(api.url + CHAT, { method: 'POST', headers, body, signal: controller.signal }).then((response) => response.text())
    await started
    await new Promise((resolve) => setImmediate(resolve))
    controller.abort()
    await t.throwsAsync(asked, { any: true })
    const turns = api.service.turns.slice(-3)
    t.is(turns.length, 3)
    await Promise.all(turns.map(({ cancelled }) => cancelled))
  }
})

test('through the whole server, a chat with n computes its prompt once, and single requests with the derived seeds answer alike', async (t) => {
  const api = await openSimulatedApi(t)
  const before = api.service.counters().computedTokens
  const body = { model: 'fake-model', messages: [{ role: 'user' as const, content: 'Tell me a story. '.repeat(30) }], temperature: 1, max_tokens: 12, logprobs: true }
  const several = await api.client.chat.completions.create({ ...body, n: 4, seed: 11 })
  const prompt = several.usage?.prompt_tokens ?? 0
  t.is(api.service.counters().computedTokens - before, prompt + 3)
  const attentionstore = (several.usage as unknown as Usage).attentionstore
  t.is(attentionstore.computed_tokens, prompt)
  const tokens = several.choices.map(({ logprobs }) => logprobs?.content?.length ?? 0)
  const ended = several.choices.filter(({ finish_reason: finish }) => finish === 'stop').length
  t.is(several.usage?.completion_tokens, tokens.reduce((sum, count) => sum + count, ended))
  for (const { index, message } of several.choices) {
    const { choices } = await api.client.chat.completions.create({ ...body, seed: Number(seedOfChoice(11n, index)) })
    t.is(choices[0]?.message.content, message.content, `choice ${index}`)
  }
  t.is(new Set(several.choices.map(({ message }) => message.content)).size, 4)
})

test('metrics tell the requests that waited for a prompt in flight, and the tokens', async (t) => {
  const api = await openSimulatedApi(t)
  const { usage: told } = await api.client.completions.create({ model: 'fake-model', prompt: 'Once upon a time '.repeat(20), n: 3, max_tokens: 4 })
  const text = await (await fetch(`${api.url}/metrics`)).text()
  t.regex(text, /^attentionstore_followed_requests_total 2$/m)
  t.regex(text, new RegExp(`^attentionstore_followed_tokens_total ${2 * ((told?.prompt_tokens ?? 0) - 1)}$`, 'm'))
})

test('a field that is no number is refused by the schema', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  t.deepEqual(await errorOf(await api.post(CHAT, { ...chatBody, n: '2' })), { status: 400, code: 'invalid_value', param: 'n' })
})
