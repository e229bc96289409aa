// Responses that are named again: over the scripted service what is kept and whose it is, over the simulated engine what a
// thread reuses.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { AccessControl } from '../../../ts/auth/access-control.js'
import { appendKey } from '../../../ts/auth/key-file.js'
import { keyHash, Keyring, newKey } from '../../../ts/auth/keyring.js'
import type { ResponseBody } from '../../../ts/surfaces/responses/schemas/response.js'
import { errorOf, openTestApi, rawRequest, type TestApi } from '../support/api.js'
import { call, delta, done, reasoning } from '../support/fake-service.js'
import { doneWithCalls } from '../support/scripts.js'
import { openSimulatedApi } from '../support/simulated-api.js'

const RESPONSES = '/v1/responses'

async function open(t: { teardown: (close: () => Promise<void>) => void }, auth?: AccessControl): Promise<TestApi> {
  const api = await openTestApi({}, {}, auth)
  t.teardown(() => api.close())
  return api
}

async function answered(api: Pick<TestApi, 'post'>, body: object, headers: Record<string, string> = {}): Promise<ResponseBody> {
  const response = await api.post(RESPONSES, body, headers)
  if (response.status !== 200) throw new Error(await response.text())
  return (await response.json()) as ResponseBody
}

const part = (text: string) => ({ kind: 'text', text })

test('a response goes on from another one: its items and their answer come first, its instructions do not', async (t) => {
  const api = await open(t)
  api.service.answer = () => [reasoning('Hm.'), delta('I look.'), ...call('call_1', 'weather', '{"city":"Rome"}'), doneWithCalls()]
  const first = await answered(api, { input: 'What is the weather?', instructions: 'Be brief.' })
  const second = await answered(api, {
    previous_response_id: first.id,
    instructions: 'Be kind.',
    input: [{ type: 'function_call_output', call_id: 'call_1', output: 'Sunny' }],
  })
  t.is(second.previous_response_id, first.id)
  await answered(api, { previous_response_id: second.id, input: 'Thanks.' })
  const { prompt, conversationHint } = api.service.lastRequest
  t.is(conversationHint, 'conv_fake')
  const answer = {
    role: 'assistant',
    content: [part('I look.')],
    reasoning: 'Hm.',
    toolCalls: [{ id: 'call_1', name: 'weather', arguments: '{"city":"Rome"}' }],
  }
  t.deepEqual(prompt as unknown, {
    kind: 'chat',
    messages: [
      { role: 'user', content: [part('What is the weather?')] },
      answer,
      { role: 'tool', toolCallId: 'call_1', content: [part('Sunny')] },
      answer,
      { role: 'user', content: [part('Thanks.')] },
    ],
  })
})

test('a response that was streamed is kept as well, whole, and OpenAI’s client reads, lists and deletes it', async (t) => {
  const api = await open(t)
  const stream = await api.client.responses.stream({ model: 'fake-model', input: 'Say hello' }).finalResponse()
  const { id } = stream
  const read = await api.client.responses.retrieve(id)
  t.deepEqual([read.id, read.status, read.output_text, read.usage?.input_tokens], [id, 'completed', 'Hello you', 100])
  const items = await api.client.responses.inputItems.list(id)
  t.like(items.data[0], { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Say hello' }] })
  t.like(await (await fetch(`${api.url}${RESPONSES}/${id}?stream=true`)).json(), { error: { code: 'unsupported_parameter', param: 'stream' } })
  await api.client.responses.delete(id)
  t.is((await fetch(`${api.url}${RESPONSES}/${id}`)).status, 404)
  t.like(await errorOf(await fetch(`${api.url}${RESPONSES}/${id}`, { method: 'DELETE' })), { status: 404, code: 'not_found' })
})

test('input items come in pages, the newest first unless asked for otherwise', async (t) => {
  const api = await open(t)
  const input = ['a', 'b', 'c'].map((text) => ({ id: `msg_${text}`, role: 'user', content: text }))
  const { id } = await answered(api, { input })
  const page = async (query: string) => {
    const { data, ...list } = (await (await fetch(`${api.url}${RESPONSES}/${id}/input_items${query}`)).json()) as { data: Array<{ id: string }> }
    return { ids: data.map((item) => item.id), ...list }
  }
  t.deepEqual(await page(''), { ids: ['msg_c', 'msg_b', 'msg_a'], object: 'list', first_id: 'msg_c', last_id: 'msg_a', has_more: false } as never)
  t.like(await page('?order=asc&limit=2'), { ids: ['msg_a', 'msg_b'], has_more: true })
  t.like(await page('?order=asc&limit=2&after=msg_b'), { ids: ['msg_c'], has_more: false })
  for (const [query, param] of [['?limit=0', 'limit'], ['?order=up', 'order'], ['?after=none', 'after']] as const) {
    t.like(await errorOf(await fetch(`${api.url}${RESPONSES}/${id}/input_items${query}`)), { status: 400, param })
  }
})

test('an item of a kept response may be referred to in place of its text', async (t) => {
  const api = await open(t)
  const { output } = await answered(api, { input: 'Say hello' })
  await answered(api, { input: [{ role: 'user', content: 'Say hello' }, { type: 'item_reference', id: output[0]?.id }, { role: 'user', content: 'Again.' }], store: false })
  const { prompt } = api.service.lastRequest
  t.deepEqual(prompt.kind === 'chat' && (prompt.messages[1] as unknown), { role: 'assistant', content: [part('Hello you')] })
  const unknown = await api.post(RESPONSES, { input: [{ type: 'item_reference', id: 'msg_unknown' }] })
  t.deepEqual(await errorOf(unknown), { status: 404, code: 'not_found', param: 'input.0.id' })
})

test('nothing is kept of a response with store false, of one that failed, or of one whose client went', async (t) => {
  const api = await open(t)
  const { id, store } = await answered(api, { input: 'Hi', store: false })
  t.false(store)
  t.is((await fetch(`${api.url}${RESPONSES}/${id}`)).status, 404)
  t.deepEqual(await errorOf(await api.post(RESPONSES, { input: 'Hi', previous_response_id: id })), { status: 404, code: 'previous_response_not_found', param: 'previous_response_id' })
  api.service.answer = () => [delta('Hel'), new Error('a bug')]
  await (await api.post(RESPONSES, { input: 'Hi', stream: true })).text()
  t.is(api.service.responses.size, 0)
  api.service.answer = () => [delta('Hel')]
  const started = api.service.nextTurn()
  const gone = new AbortController()
  const asked = fetch(api.url + RESPONSES, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"input":"Hi"}', signal: gone.signal })
  const turn = await started
  gone.abort()
  await t.throwsAsync(asked, { any: true })
  await turn.cancelled
  t.is(api.service.responses.size, 0)
})

test('an answer that was cut off is kept, and its time runs from its last use', async (t) => {
  const api = await open(t)
  api.service.answer = () => [delta('Once'), done({ finish: 'length' })]
  const { id } = await answered(api, { input: 'Hi' })
  const status = async () => (await fetch(`${api.url}${RESPONSES}/${id}`)).status
  api.service.now = 59_000
  t.is(await status(), 200)
  api.service.now = 118_000
  t.is(await status(), 200)
  api.service.now = 178_000
  t.is(await status(), 404)
})

test('a response of another tenant is not found, whichever way it is named', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-responses-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'keys.jsonl')
  const keyOf = (tenant: string) => {
    const key = newKey()
    appendKey(path, { id: tenant, name: tenant, tenant, sha256: keyHash(key).toString('hex'), created: '2026-03-01T00:00:00Z' })
    return { authorization: `Bearer ${key}` }
  }
  const [acme, umbrella] = [keyOf('acme'), keyOf('umbrella')]
  const api = await open(t, new AccessControl({ apiKeys: new Keyring(path), adminKeys: null, isLoopback: true, now: () => 0 }))
  const { id, output } = await answered(api, { input: 'Hi' }, acme)
  const at = `${api.url}${RESPONSES}/${id}`
  for (const [url, method] of [[at, 'GET'], [`${at}/input_items`, 'GET'], [at, 'DELETE']] as const) {
    t.is((await fetch(url, { method, headers: umbrella })).status, 404, `${method} ${url}`)
    t.is((await fetch(url, { method })).status, 401)
  }
  t.like(await errorOf(await api.post(RESPONSES, { input: 'Hi', previous_response_id: id }, umbrella)), { status: 404, code: 'previous_response_not_found' })
  t.like(await errorOf(await api.post(RESPONSES, { input: [{ type: 'item_reference', id: output[0]?.id }] }, umbrella)), { status: 404 })
  t.is((await fetch(at, { headers: acme })).status, 200)
})

test('a thread of responses reuses what it has computed, is one conversation, and is gone with its erasure', async (t) => {
  const api = await openSimulatedApi(t)
  const rules = 'Answer as the keeper of a lighthouse would. '.repeat(20)
  let last = await answered(api, { input: 'Say at length what the harbour is like.', instructions: rules, max_output_tokens: 40 })
  const ids = [last.id]
  for (let turn = 1; turn < 5; turn++) {
    const history = (last.usage?.input_tokens ?? 0) + (last.usage?.output_tokens ?? 0)
    const next = await answered(api, { previous_response_id: last.id, input: `And then, ${turn}?`, instructions: rules, max_output_tokens: 40 })
    const reused = next.usage?.input_tokens_details.cached_tokens ?? 0
    t.true(reused >= 0.95 * history, `turn ${turn} reused ${reused} of ${history} tokens`)
    last = next
    ids.push(last.id)
  }
  const { rows, total } = api.service.conversations.list({ tenant: null, text: null, before: null, limit: 10 })
  t.is(total, 1)
  const receipt = await (await fetch(`${api.url}/admin/conversations/${rows[0]?.id}`, { method: 'DELETE' })).json()
  t.like(receipt, { responses_erased: 5 })
  for (const id of ids) t.is((await fetch(`${api.url}${RESPONSES}/${id}`)).status, 404)
})

test('tokens are counted of the prompt that the same fields make, the responses before it included', async (t) => {
  const api = await openSimulatedApi(t)
  const first = await answered(api, { input: 'Say at length what the harbour is like.', max_output_tokens: 20 })
  const body = { previous_response_id: first.id, input: 'Go on.', instructions: 'Be brief.' }
  const counted = await api.client.responses.inputTokens.count(body)
  t.is(counted.object, 'response.input_tokens')
  const second = await answered(api, { ...body, max_output_tokens: 4 })
  t.is(second.usage?.input_tokens, counted.input_tokens)
})

test('a delete needs no content type, takes no other than JSON, and a page of an allowed origin may send it', async (t) => {
  const origin = 'http://page.test'
  const api = await openTestApi({ access: { allowedHosts: [], corsOrigins: [origin] } })
  t.teardown(() => api.close())
  const { id } = await answered(api, { input: 'Hi' })
  const at = `${api.url}${RESPONSES}/${id}`
  const preflight = await rawRequest(at, 'OPTIONS', { origin, 'access-control-request-method': 'DELETE' })
  t.regex(String(preflight.headers['access-control-allow-methods']), /DELETE/)
  t.is((await rawRequest(at, 'DELETE', { 'content-type': 'text/plain' })).status, 400)
  t.is((await rawRequest(at, 'DELETE', { origin: 'http://elsewhere.test' })).status, 403)
  t.is((await rawRequest(at, 'DELETE', { origin })).status, 200)
})

test('the bounds of kept responses are options of the service', async (t) => {
  const brief = await openSimulatedApi(t, { responseTtlMs: 1000 })
  const { id } = await answered(brief, { input: 'Hi', max_output_tokens: 4 })
  await brief.clock.advance(1001)
  t.is((await fetch(`${brief.url}${RESPONSES}/${id}`)).status, 404)
  const none = await openSimulatedApi(t, { maxResponseBytes: 0 })
  const kept = await answered(none, { input: 'Hi', max_output_tokens: 4 })
  t.is((await fetch(`${none.url}${RESPONSES}/${kept.id}`)).status, 404)
})

test('a server that has started again knows no response of before', async (t) => {
  const [before, after] = [await openSimulatedApi(t), await openSimulatedApi(t)]
  const { id } = await answered(before, { input: 'Hi', max_output_tokens: 4 })
  const refused = await after.post(RESPONSES, { input: 'Hi', previous_response_id: id })
  t.deepEqual(await errorOf(refused), { status: 404, code: 'previous_response_not_found', param: 'previous_response_id' })
})
