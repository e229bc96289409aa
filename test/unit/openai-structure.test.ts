// The forms that an answer is held to, in the words of OpenAI, vLLM and llama.cpp.

import test from 'ava'
import fc from 'fast-check'
import { zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import type { Constraint } from '../../ts/service/types.js'
import { boundedJson } from '../../ts/surfaces/json-bounds.js'
import { errorOf, openTestApi, type TestApi } from './support/api.js'
import { delta, done } from './support/fake-service.js'

const CHAT = '/v1/chat/completions'
const HELLO = [{ role: 'user', content: 'Hi' }] as const
const SCHEMA = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'], additionalProperties: false }
const TOOLS = [{ type: 'function', function: { name: 'now' } }]

async function opened(t: { teardown: (close: () => Promise<void>) => void }): Promise<TestApi> {
  const api = await openTestApi({ maxBodyBytes: 4 * 2 ** 20 })
  t.teardown(() => api.close())
  return api
}

async function constraintOf(api: TestApi, more: object, isChat: boolean): Promise<Constraint | undefined> {
  const response = await (isChat ? api.post(CHAT, { messages: HELLO, ...more }) : api.post('/v1/completions', { prompt: 'x', ...more }))
  if (response.status !== 200) throw new Error(await response.text())
  return api.service.lastRequest.constraint
}

const GRAMMAR = 'root ::= "yes" | "no"'

test('each way to ask for a form of the answer reaches the service, in chats and in completions', async (t) => {
  const api = await opened(t)
  const schema: Constraint = { kind: 'json_schema', schema: SCHEMA }
  const object: Constraint = { kind: 'json_object' }
  const choice: Constraint = { kind: 'choice', choices: ['yes', 'no'] }
  const cases: ReadonlyArray<readonly [expected: Constraint, fields: object]> = [
    [object, { response_format: { type: 'json_object' } }],
    [schema, { response_format: { type: 'json_object', schema: SCHEMA } }],
    [schema, { response_format: { type: 'json_schema', json_schema: { name: 'person', description: 'd', schema: SCHEMA, strict: true } } }],
    [schema, { response_format: { type: 'json_schema', json_schema: { name: 'person', schema: SCHEMA, strict: false } } }],
    [object, { response_format: { type: 'json_schema', json_schema: { name: 'person' } } }],
    [schema, { structured_outputs: { json: SCHEMA } }],
    [schema, { structured_outputs: { json: JSON.stringify(SCHEMA), regex: null } }],
    [object, { structured_outputs: { json_object: true } }],
    [choice, { structured_outputs: { choice: ['yes', 'no', 'yes'] } }],
    [{ kind: 'regex', pattern: '[a-z]+\uFFFD' }, { structured_outputs: { regex: '[a-z]+\ud800' } }],
    [{ kind: 'grammar', grammar: GRAMMAR }, { structured_outputs: { grammar: GRAMMAR } }],
    [schema, { guided_json: SCHEMA }],
    [schema, { guided_json: JSON.stringify(SCHEMA) }],
    [choice, { guided_choice: ['yes', 'no'] }],
    [{ kind: 'regex', pattern: '[a-z]+' }, { guided_regex: '[a-z]+' }],
    [{ kind: 'grammar', grammar: GRAMMAR }, { guided_grammar: GRAMMAR }],
    [{ kind: 'grammar', grammar: GRAMMAR }, { grammar: GRAMMAR }],
    [schema, { json_schema: SCHEMA }],
    [{ kind: 'json_schema', schema: {} }, { json_schema: {} }],
    [{ kind: 'json_schema', schema: true }, { guided_json: true }],
  ]
  for (const [expected, fields] of cases) {
    for (const isChat of [true, false]) t.deepEqual(await constraintOf(api, fields, isChat), expected, JSON.stringify(fields))
  }
})

test('the field that asks for a form is told, so that an error of the engine can name it', async (t) => {
  const api = await opened(t)
  const fields = { guided_regex: 'x', grammar: GRAMMAR, json_schema: SCHEMA, response_format: { type: 'json_object' } }
  for (const [field, value] of Object.entries(fields)) {
    await constraintOf(api, { [field]: value }, false)
    t.is(api.service.lastRequest.constraintField, field)
  }
  await constraintOf(api, { structured_outputs: { regex: 'x' } }, true)
  t.is(api.service.lastRequest.constraintField, 'structured_outputs.regex')
})

test('values that ask for no form are taken as none', async (t) => {
  const api = await opened(t)
  for (const fields of [
    { response_format: { type: 'text' } },
    { response_format: null },
    { structured_outputs: {} },
    { structured_outputs: { json: null, regex: '', choice: [], json_object: false } },
    { guided_json: null, guided_regex: '', guided_choice: [], guided_grammar: null, grammar: '', json_schema: null },
    { guided_json: false },
  ]) {
    for (const isChat of [true, false]) t.is(await constraintOf(api, fields, isChat), undefined, JSON.stringify(fields))
  }
})

test('forms that are wrong or over a bound are refused with their field', async (t) => {
  const api = await opened(t)
  const nested = (levels: number): object => (levels === 0 ? {} : { items: nested(levels - 1) })
  const cases: ReadonlyArray<readonly [param: string, body: object]> = [
    ['response_format.json_schema', { response_format: { type: 'json_schema' } }],
    ['response_format.json_schema.name', { response_format: { type: 'json_schema', json_schema: { name: 'a b', schema: SCHEMA } } }],
    ['response_format.json_schema.schema', { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: 'x' } } }],
    ['response_format.json_schema.schema', { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: nested(128) } } }],
    ['response_format.schema', { response_format: { type: 'json_object', schema: [1] } }],
    ['structured_outputs.regex', { structured_outputs: { regex: 5 } }],
    ['structured_outputs.json', { structured_outputs: { json: '{' } }],
    ['guided_json', { guided_json: { enum: ['x'.repeat(2 ** 18)] } }],
    ['guided_json', { guided_json: `"${'x'.repeat(2 ** 18)}"` }],
    ['guided_json', { guided_json: 7 }],
    ['guided_regex', { guided_regex: 'x'.repeat(16_385) }],
    ['guided_choice', { guided_choice: Array.from({ length: 1025 }, String) }],
    ['guided_choice', { guided_choice: ['x'.repeat(1025)] }],
    ['guided_choice', { guided_choice: ['a', ''] }],
    ['guided_choice.0', { guided_choice: [1] }],
    ['structured_outputs.choice', { structured_outputs: { choice: Array.from({ length: 1025 }, String) } }],
    ['guided_grammar', { guided_grammar: 'x'.repeat(131_073) }],
    ['grammar', { grammar: ' ' }],
    ['json_schema', { json_schema: 'object' }],
  ]
  for (const [param, body] of cases) {
    const label = JSON.stringify(body).slice(0, 100)
    const response = await api.post(CHAT, { messages: HELLO, ...body })
    t.deepEqual(await errorOf(response), { status: 400, code: 'invalid_value', param }, label)
  }
  t.is(api.service.turns.length, 0)
})

test('an answer has one form: a second one, or a call that must be made, is refused', async (t) => {
  const api = await opened(t)
  const format = { response_format: { type: 'json_object' } }
  const cases: ReadonlyArray<readonly [param: string, sentence: RegExp, body: object]> = [
    ['guided_regex', /response_format constrains the answer already/, { ...format, guided_regex: 'x' }],
    ['structured_outputs.regex', /structured_outputs.json constrains/, { structured_outputs: { json: SCHEMA, regex: 'x' } }],
    ['grammar', /json_schema constrains/, { json_schema: SCHEMA, grammar: GRAMMAR }],
    ['response_format', /tool_choice makes the answer a tool call/, { ...format, tools: TOOLS, tool_choice: 'required' }],
    ['guided_choice', /tool_choice makes/, { guided_choice: ['a'], tools: TOOLS, tool_choice: { type: 'function', function: { name: 'now' } } }],
    ['response_format', /function_call makes/, { ...format, functions: [{ name: 'now' }], function_call: { name: 'now' } }],
  ]
  for (const [param, sentence, body] of cases) {
    const response = await api.post(CHAT, { messages: HELLO, ...body })
    const { error } = (await response.json()) as { error: { message: string; param: string; code: string } }
    t.deepEqual([response.status, error.code, error.param], [400, 'invalid_value', param], JSON.stringify(body))
    t.regex(error.message, sentence)
  }
  for (const choice of ['auto', 'none']) {
    t.deepEqual(await constraintOf(api, { ...format, tools: TOOLS, tool_choice: choice }, true), { kind: 'json_object' }, 'the model may still answer')
    t.is(api.service.lastRequest.tools?.choice, choice as 'auto')
  }
})

test("the client's parser reads a structured answer, and its schema reaches the service", async (t) => {
  const api = await opened(t)
  api.service.answer = () => [delta('{"name":'), delta('"Ada"}'), done()]
  const format = zodResponseFormat(z.object({ name: z.string() }), 'person')
  const { choices } = await api.client.chat.completions.parse({ model: 'fake-model', messages: [...HELLO], response_format: format })
  t.deepEqual(choices[0]?.message.parsed, { name: 'Ada' })
  t.like(api.service.lastRequest.constraint, { kind: 'json_schema', schema: { properties: { name: { type: 'string' } } } })
  const stream = api.client.chat.completions.stream({ model: 'fake-model', messages: [...HELLO], response_format: format })
  t.deepEqual((await stream.finalChatCompletion()).choices[0]?.message.parsed, { name: 'Ada' })
})

const json = fc.jsonValue({ maxDepth: 6 })

/** Levels of lists and objects. */
function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

test('JSON within its bounds comes back as it was, and JSON over one is refused', (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_129)
  t.log(`seed ${seed}`)
  fc.assert(
    fc.property(json, fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 200 }), (value, depth, bytes) => {
      const fits = depthOf(value) <= depth && Buffer.byteLength(JSON.stringify(value).replace(/\\ud[89a-f][0-9a-f]{2}/g, '\uFFFD')) <= bytes
      if (!fits) {
        t.throws(() => boundedJson(value, { depth, bytes }, 'field'), { message: /^field: / })
        return
      }
      t.deepEqual(JSON.stringify(boundedJson(value, { depth, bytes }, 'field')), JSON.stringify(value).replace(/\\ud[89a-f][0-9a-f]{2}/g, '\uFFFD'))
    }),
    { seed, numRuns: 300 },
  )
})

test('keys that name a prototype stay keys', (t) => {
  const copy = boundedJson(JSON.parse('{"__proto__":{"polluted":1},"constructor":2}'), { depth: 3, bytes: 100 }, 'field') as object
  t.deepEqual(Object.keys(copy), ['__proto__', 'constructor'])
  t.is(Object.getPrototypeOf(copy), Object.prototype)
  t.is(({} as Record<string, unknown>)['polluted'], undefined)
})
