// The three lists of fields: the code's table, the documents, the schemas, and what a request meets.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { z } from 'zod'
import { FieldTable, type FieldList } from '../../ts/surfaces/fields.js'
import { FIELDS, type FieldRoute } from '../../ts/surfaces/openai/fields/rows.js'
import { ChatRequest } from '../../ts/surfaces/openai/schemas/chat.js'
import { CompletionRequest } from '../../ts/surfaces/openai/schemas/completions.js'
import { errorOf, openTestApi } from './support/api.js'
import { pathsIn, type JsonSchema } from './support/schema-paths.js'

const PATHS: Readonly<Record<FieldRoute, string>> = { chat: '/v1/chat/completions', completions: '/v1/completions' }
const PROMPTS: Readonly<Record<FieldRoute, object>> = { chat: { messages: [{ role: 'user', content: 'Hi' }] }, completions: { prompt: 'Hi' } }
const TITLES: Readonly<Record<FieldList, string>> = { served: 'Served', accepted: 'Accepted without effect', refused: 'Refused by name' }

/** `route field` of each row of a list in the documents. */
function documented(list: FieldList): string[] {
  const page = readFileSync(join(import.meta.dirname, '../../docs/interface.md'), 'utf8')
  const section = new RegExp(`\\n#### ${TITLES[list]}\\n([\\s\\S]*?)\\n###`).exec(page)?.[1] ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return rows.flatMap((row) => {
    const [, names = '', of = ''] = row.split(' | ', 2).length === 2 ? ['', ...row.slice(2).split(' | ')] : []
    const routes = of === 'both' ? ['chat', 'completions'] : [of]
    return [...names.matchAll(/`([^`]+)`/g)].flatMap(([, name]) => routes.map((route) => `${route} ${name}`))
  })
}

const inCode = (list: FieldList) => FIELDS.filter((row) => row.list === list).flatMap(({ field, routes }) => routes.map((route) => `${route} ${field}`))

test('the lists of the documents are those of the code, and no field is in two of them', (t) => {
  for (const list of ['served', 'accepted', 'refused'] as const) {
    t.deepEqual(documented(list).toSorted(), inCode(list).toSorted(), TITLES[list])
  }
  const all = FIELDS.flatMap(({ field, routes }) => routes.map((route) => `${route} ${field}`))
  t.deepEqual(all.toSorted(), [...new Set(all)].toSorted())
})

test('the served fields are those that the schemas read', (t) => {
  for (const [route, request] of [['chat', ChatRequest], ['completions', CompletionRequest]] as const) {
    const schema = z.toJSONSchema(request, { io: 'input' }) as JsonSchema
    const read = pathsIn(schema, schema.$defs ?? {})
    const served = inCode('served').flatMap((row) => (row.startsWith(`${route} `) ? [row.slice(route.length + 1)] : []))
    t.deepEqual([...new Set(read)].toSorted(), served.toSorted(), route)
  }
})

/** Members that an item of a list needs beside the field that is tested. */
const NEEDED: Readonly<Record<string, object>> = {
  'messages[]': { role: 'assistant', content: 'x' },
  'content[]': { type: 'text', text: 'x' },
  'tool_calls[]': { id: 'c', function: { name: 'a', arguments: '{}' } },
  'tools[]': { type: 'function', function: { name: 'a' } },
  response_format: { type: 'json_schema' },
  json_schema: { name: 'a', schema: {} },
}

/** `value` at a path such as `messages[].content[].file`, in a body that is otherwise right. */
function bodyWith(field: string, value: unknown, route: FieldRoute): object {
  const place = ([head = '', ...rest]: readonly string[]): object => {
    const item = rest.length === 0 ? value : { ...NEEDED[head], ...place(rest) }
    return { [head.replace('[]', '')]: head.endsWith('[]') ? [item] : item }
  }
  return { ...PROMPTS[route], ...place(field.split('.')) }
}

test('an accepted field changes nothing of what is asked, and is not told as ignored', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  for (const { field, routes, passes } of FIELDS.filter(({ list }) => list === 'accepted')) {
    for (const route of routes) {
      const value = passes ? 'auto' : 'x'
      const askedBy = async (body: object) => {
        const response = await api.post(PATHS[route], { ...body, seed: 1 })
        t.is(response.status, 200, `${field}: ${await response.text()}`)
        t.is(response.headers.get('x-ignored-fields'), null, field)
        return { ...api.service.lastRequest, requestId: '' }
      }
      t.deepEqual(await askedBy(bodyWith(field, value, route)), await askedBy(bodyWith(field, null, route)), field)
    }
  }
})

test('a refused field is named with its path, and values that ask for nothing pass', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  for (const { field, routes, passes } of FIELDS.filter(({ list }) => list === 'refused')) {
    for (const route of routes) {
      const response = await api.post(PATHS[route], bodyWith(field, 'x7', route))
      const expected = { status: 400, code: 'unsupported_parameter', param: field.replaceAll('[]', '.0') }
      t.deepEqual(await errorOf(response), expected, field)
      const nothings = [null, ...(passes ? [false, 0, 1, -1, true, 'auto', ['text']].filter(passes) : [false, '', [], {}])]
      t.true(nothings.length > 1, field)
      for (const nothing of nothings) {
        t.is((await api.post(PATHS[route], bodyWith(field, nothing, route))).status, 200, `${field}: ${JSON.stringify(nothing)}`)
      }
    }
  }
})

test('values of served and accepted fields that the server does not have are refused by name', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const image = { type: 'image_url', image_url: { url: 'x' } }
  const cases: ReadonlyArray<readonly [param: string, body: object]> = [
    ['service_tier', { service_tier: 'flex' }],
    ['modalities', { modalities: ['text', 'audio'] }],
    ['response_format.type', { response_format: { type: 'grammar' } }],
    ['messages.0.content.1.type', { messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }, image] }] }],
    ['messages.0.content.0.image_url', { messages: [{ role: 'user', content: [{ image_url: { url: 'x' }, type: 'image_url' }] }] }],
    ['messages.0.content.0.type', { messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }] }],
    ['messages.0.tool_calls.0.type', { messages: [{ role: 'assistant', tool_calls: [{ id: 'c', type: 'custom', custom: {} }] }] }],
    ['tools.0.type', { tools: [{ type: 'web_search' }] }],
    ['tools.1.type', { tools: [{ type: 'function', function: { name: 'a' } }, { type: 'custom', custom: { name: 'b' } }] }],
    ['tool_choice.type', { tools: [{ type: 'function', function: { name: 'a' } }], tool_choice: { type: 'file_search' } }],
    ['n', { n: 2 }],
    ['n', { n: 0 }],
    ['echo', { echo: true }],
  ]
  for (const [param, body] of cases) {
    const response = await api.post(PATHS.chat, { ...PROMPTS.chat, ...body })
    t.deepEqual(await errorOf(response), { status: 400, code: 'unsupported_parameter', param }, JSON.stringify(body))
  }
  t.is(api.service.turns.length, 0)
})

test('a field that is in no list is named in a header, once, in harmless characters and no more than sixteen', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const ignored = async (route: FieldRoute, body: object) => {
    const response = await api.post(PATHS[route], { ...PROMPTS[route], ...body })
    await response.text()
    return response.status === 200 ? response.headers.get('x-ignored-fields') : response.status
  }
  const messages = [{ role: 'user', content: 'a', contnet: 1 }, { role: 'user', content: [{ type: 'text', text: 'a', txt: 1 }], contnet: 2 }]
  t.is(await ignored('chat', {}), null)
  t.is(await ignored('chat', { temprature: 1, messages }), 'messages[].contnet, messages[].content[].txt, temprature')
  t.is(await ignored('chat', { stream: true, temprature: 1 }), 'temprature', 'also of a stream')
  t.is(await ignored('chat', { tools: [{ type: 'function', function: { name: 'a', parameters: { any: { thing: 1 } } }, x: 1 }] }), 'tools[].x')
  t.is(await ignored('completions', { messages, top_q: 1 }), 'messages, top_q')
  t.is(await ignored('chat', { 'a\r\nset-cookie: b': 1, 'ä, "c"': 2 }), 'a??set-cookie??b, ????c?')
  t.is(await ignored('chat', { ['x'.repeat(100)]: 1 }), 'x'.repeat(64))
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`f${index}`, 1]))
  t.is(await ignored('chat', many), `${Array.from({ length: 16 }, (_, index) => `f${index}`).join(', ')}, ...`)
})

test('a page of another origin may read the header', async (t) => {
  const origin = 'http://app.example'
  const api = await openTestApi({ access: { allowedHosts: [], corsOrigins: [origin] } })
  t.teardown(() => api.close())
  const response = await api.post(PATHS.chat, { ...PROMPTS.chat, temprature: 1 }, { origin })
  t.true(response.headers.get('access-control-expose-headers')?.includes('x-ignored-fields'))
})

test('with strict fields a field that is in no list is refused with its path, and nothing else is', async (t) => {
  const api = await openTestApi({ strictFields: true })
  t.teardown(() => api.close())
  const refusal = async (body: object) => errorOf(await api.post(PATHS.chat, { ...PROMPTS.chat, ...body }))
  const named = (param: string) => ({ status: 400, code: 'unsupported_parameter', param })
  t.deepEqual(await refusal({ temprature: 1 }), named('temprature'))
  t.deepEqual(await refusal({ messages: [{ role: 'user', content: 'a' }, { role: 'user', content: 'a', contnet: 1 }] }), named('messages.1.contnet'))
  t.deepEqual(await errorOf(await api.post(PATHS.completions, { prompt: 'x', top_q: 1 })), named('top_q'))
  t.is(api.service.turns.length, 0)
  t.is((await refusal({ user: 'me', metadata: { any: 'thing' }, temperature: 1 })).status, 200)
})

test('a table walks through any JSON without failing, and names every field that it does not have', (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_129)
  t.log(`seed ${seed}`)
  const table = new FieldTable([
    { field: 'a', list: 'served' },
    { field: 'b[]', list: 'served' },
    { field: 'b[].c', list: 'accepted' },
  ])
  const key = fc.constantFrom('a', 'b', 'c', 'd', '__proto__')
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: 'medium' }, fc.constant(null), fc.integer(), fc.array(tie('value')), fc.dictionary(key, tie('value'))),
  }))
  const expected = (body: unknown): string[] => {
    const keys = (object: unknown) => (typeof object === 'object' && object !== null && !Array.isArray(object) ? Object.keys(object) : [])
    const top = keys(body).filter((name) => name !== 'a' && name !== 'b')
    const list = keys(body).includes('b') ? (body as { b: unknown }).b : []
    const inner = Array.isArray(list) ? list.flatMap((item) => keys(item).filter((name) => name !== 'c').map((name) => `b[].${name}`)) : []
    return [...new Set([...top, ...inner])].toSorted()
  }
  fc.assert(
    fc.property(value, (body) => {
      t.deepEqual([...table.check(body, false)].toSorted(), expected(body))
    }),
    { seed, numRuns: 300 },
  )
})
