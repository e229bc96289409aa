// How the prompt of a request ends, begins and is rendered, as the service is asked for it; and what is refused by name.

import test from 'ava'
import { EngineError } from '../../ts/protocol/errors.js'
import { refusalOf } from '../../ts/service/refusals.js'
import { chat } from '../support/simulated-service.js'
import { done } from './support/fake-service.js'
import { errorOf, openTestApi, type TestApi } from './support/api.js'

const CHAT = '/v1/chat/completions'
const COMPLETIONS = '/v1/completions'
const user = { role: 'user', content: 'Hi' }
const begun = { role: 'assistant', content: 'Once upon' }
const CONTINUED = { add_generation_prompt: false, continue_final_message: true }

async function asked(api: TestApi, path: string, body: object) {
  api.service.answer = () => [done()]
  const response = await api.post(path, body)
  return { status: response.status, request: api.service.turns.at(-1)?.request }
}

test('four ways to say it continue the last message, and no message is continued without them', async (t) => {
  const api = await openTestApi({ strictFields: true })
  t.teardown(api.close)
  const ways = [
    { messages: [user, begun], ...CONTINUED },
    { messages: [user, { ...begun, prefix: true }] },
    { messages: [user, { ...begun, partial: true }] },
    { messages: [user, { ...begun, prefix: true }], ...CONTINUED },
  ]
  for (const body of ways) {
    const { status, request } = await asked(api, CHAT, body)
    t.is(status, 200)
    t.deepEqual(request?.prompt, { kind: 'chat', messages: [user, begun], ending: 'open' }, JSON.stringify(body))
  }
  for (const body of [{}, { add_generation_prompt: true, continue_final_message: false }, { add_generation_prompt: null }]) {
    const { request } = await asked(api, CHAT, { messages: [user, { ...begun, prefix: false, partial: null }], ...body })
    t.deepEqual(request?.prompt, { kind: 'chat', messages: [user, begun] })
  }
  const { request } = await asked(api, CHAT, { messages: [user], add_generation_prompt: false })
  t.deepEqual(request?.prompt, { kind: 'chat', messages: [user], ending: 'closed' })
})

test('a last message that says nothing counts as left out, and reasoning alone is continued', async (t) => {
  const api = await openTestApi()
  t.teardown(api.close)
  const empty = await asked(api, CHAT, { messages: [user, { role: 'assistant', content: '', prefix: true }] })
  t.deepEqual(empty.request?.prompt, { kind: 'chat', messages: [user] })
  const thinking = { role: 'assistant', content: '', reasoning_content: 'Well', prefix: true }
  const { request } = await asked(api, CHAT, { messages: [user, thinking] })
  t.deepEqual(request?.prompt, { kind: 'chat', messages: [user, { role: 'assistant', content: '', reasoning: 'Well' }], ending: 'open' })
})

test('a message that no answer can go on with is refused by name', async (t) => {
  const api = await openTestApi()
  t.teardown(api.close)
  const calls = [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }]
  const cases: ReadonlyArray<readonly [body: object, param: string]> = [
    [{ messages: [user, begun], continue_final_message: true }, 'continue_final_message'],
    [{ messages: [user, begun], continue_final_message: true, add_generation_prompt: true }, 'continue_final_message'],
    [{ messages: [user], ...CONTINUED }, 'continue_final_message'],
    [{ messages: [{ ...user, prefix: true }] }, 'messages.0.prefix'],
    [{ messages: [{ ...begun, partial: true }, user] }, 'messages.0.partial'],
    [{ messages: [user, { ...begun, tool_calls: calls, prefix: true }] }, 'messages.1.tool_calls'],
    [{ messages: [user, { ...begun, function_call: calls[0]?.function }], ...CONTINUED }, 'messages.1.function_call'],
    [{ messages: [user, { ...begun, prefix: 'yes' }] }, 'messages.1.prefix'],
  ]
  for (const [body, param] of cases) {
    for (const path of [CHAT, '/tokenize']) t.like(await errorOf(await api.post(path, body)), { status: 400, code: 'invalid_value', param }, `${path} ${param}`)
  }
  t.is(api.service.turns.length, 0)
})

test('/tokenize takes the same endings', async (t) => {
  const api = await openTestApi()
  t.teardown(api.close)
  await api.post('/tokenize', { messages: [user, { ...begun, prefix: true }] })
  t.like(api.service.chats.at(-1), { messages: [user, begun], ending: 'open' })
})

test('special tokens of a raw prompt are as the request says', async (t) => {
  const api = await openTestApi({ strictFields: true })
  t.teardown(api.close)
  const plain = await asked(api, COMPLETIONS, { prompt: 'a' })
  t.deepEqual(plain.request?.prompt, { kind: 'text', text: 'a' })
  const parsed = await asked(api, COMPLETIONS, { prompt: ['a'], add_special_tokens: false, parse_special: true })
  t.deepEqual(parsed.request?.prompt, { kind: 'text', text: 'a', addSpecialTokens: false, parseSpecial: true })
  t.like(await errorOf(await api.post(CHAT, { messages: [user], parse_special: true })), { code: 'unsupported_parameter', param: 'parse_special' })
})

test('truncate_prompt_tokens is read on both routes, and not together with truncation', async (t) => {
  const api = await openTestApi()
  t.teardown(api.close)
  for (const [path, prompt] of [[CHAT, { messages: [user] }], [COMPLETIONS, { prompt: 'a' }]] as const) {
    t.is((await asked(api, path, { ...prompt, truncate_prompt_tokens: 7 })).request?.lastTokens, 7)
    t.is((await asked(api, path, { ...prompt, truncate_prompt_tokens: -1 })).request?.lastTokens, 'context')
    t.is((await asked(api, path, { ...prompt, truncate_prompt_tokens: null })).request?.lastTokens, undefined)
    for (const wrong of [0, -2, 1.5, '5']) {
      t.like(await errorOf(await api.post(path, { ...prompt, truncate_prompt_tokens: wrong })), { status: 400, param: 'truncate_prompt_tokens' }, `${wrong}`)
    }
    const both = { ...prompt, truncate_prompt_tokens: 7, truncation: 'auto' }
    t.like(await errorOf(await api.post(path, both)), { code: 'invalid_value', param: 'truncate_prompt_tokens' })
  }
  const tokens = Array.from({ length: 3000 }, () => 1)
  t.like(await errorOf(await api.post(COMPLETIONS, { prompt: tokens })), { code: 'context_length_exceeded' })
  t.is((await asked(api, COMPLETIONS, { prompt: tokens, truncate_prompt_tokens: 100 })).status, 200)
})

test('a template of a request is taken only where the server trusts it, also by a model without one', async (t) => {
  const careful = await openTestApi()
  const trusting = await openTestApi({ trustRequestTemplates: true, maxBodyBytes: 1 << 20 }, { hasChatTemplate: false })
  t.teardown(async () => Promise.all([careful.close(), trusting.close()]))
  const body = { messages: [user], chat_template: '{{ messages }}' }
  for (const path of [CHAT, '/tokenize']) {
    const { error } = (await (await careful.post(path, body)).json()) as { error: { message: string } }
    t.like(error, { code: 'unsupported_parameter', param: 'chat_template' })
    t.regex(error.message, /--trust-request-templates/)
  }
  t.is((await asked(careful, CHAT, { ...body, chat_template: null })).status, 200)
  const { status, request } = await asked(trusting, CHAT, body)
  t.deepEqual([status, request?.chatTemplate], [200, '{{ messages }}'])
  await trusting.post('/tokenize', body)
  t.is(trusting.service.chats.at(-1)?.chatTemplate, '{{ messages }}')
  t.like(await errorOf(await trusting.post(CHAT, { messages: [user] })), { code: 'invalid_value', param: 'messages' })
  const long = { ...body, chat_template: 'x'.repeat(65_537) }
  t.like(await errorOf(await trusting.post(CHAT, long)), { status: 400, param: 'chat_template' })
})

test('what a template says against a request names the field that it came from', (t) => {
  const thrown = (code: 'template_refused' | 'template_argument' | 'engine_closed') => new EngineError(code, 'by turns', {})
  const param = (request: Parameters<typeof chat>[1], code: Parameters<typeof thrown>[0] = 'template_refused') => {
    const refusal = refusalOf(chat([user], request), 100, thrown(code))
    return refusal instanceof EngineError ? null : (refusal as { param: string }).param
  }
  t.is(param({}), 'messages')
  t.is(param({ messagesField: 'input' }), 'input')
  t.is(param({ chatTemplate: 'x' }), 'chat_template')
  t.is(param({ chatTemplate: 'x' }, 'engine_closed'), null)
  t.is(param({ chatTemplate: 'x' }, 'template_argument'), null, 'the code itself names chat_template_kwargs')
})
