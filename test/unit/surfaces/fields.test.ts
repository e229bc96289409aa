// The three lists of fields of each format: the code's table, the documents, the schemas, and what a request meets.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { z } from 'zod'
import type { FieldList, FieldRow } from '../../../ts/surfaces/fields.js'
import { FIELDS as MESSAGES } from '../../../ts/surfaces/anthropic/fields.js'
import { MessagesRequest } from '../../../ts/surfaces/anthropic/schemas/messages.js'
import { FIELDS as RESPONSES } from '../../../ts/surfaces/responses/fields.js'
import { ResponseRequest } from '../../../ts/surfaces/responses/schemas/request.js'
import { openTestApi } from '../support/api.js'
import { pathsIn, type JsonSchema } from '../support/schema-paths.js'

interface Format {
  readonly name: string
  readonly rows: readonly FieldRow[]
  readonly schema: z.ZodType
  readonly path: string
  /** A body that is answered. */
  readonly body: object
}

const FORMATS: readonly Format[] = [
  { name: 'Messages', rows: MESSAGES, schema: MessagesRequest, path: '/v1/messages', body: { max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] } },
  { name: 'Responses', rows: RESPONSES, schema: ResponseRequest, path: '/v1/responses', body: { input: 'Hi' } },
]
const LISTS: readonly FieldList[] = ['served', 'accepted', 'refused']
const TITLES: Readonly<Record<FieldList, string>> = { served: 'served', accepted: 'accepted without effect', refused: 'refused by name' }

const inCode = (rows: readonly FieldRow[], list: FieldList) => rows.flatMap((row) => (row.list === list ? [row.field] : []))

function documented(name: string, list: FieldList): string[] {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/interface.md'), 'utf8')
  const section = new RegExp(`\\n#### Fields of ${name}: ${TITLES[list]}\\n([\\s\\S]*?)\\n###`).exec(page)?.[1] ?? ''
  const firstColumns = section.split('\n').flatMap((line) => (line.startsWith('| `') ? [line.split(' | ')[0] ?? ''] : []))
  return firstColumns.flatMap((column) => [...column.matchAll(/`([^`]+)`/g)].map(([, field = '']) => field))
}

for (const { name, rows, schema, path, body } of FORMATS) {
  test(`${name}: the lists of the documents are those of the code, and no field is in two of them`, (t) => {
    for (const list of LISTS) t.deepEqual(documented(name, list).toSorted(), inCode(rows, list).toSorted(), list)
    const all = rows.map(({ field }) => field)
    t.deepEqual(all.toSorted(), [...new Set(all)].toSorted())
  })

  test(`${name}: every field that the schema reads is in a list, and every served one is read`, (t) => {
    const json = z.toJSONSchema(schema, { io: 'input' }) as JsonSchema
    const read = new Set(pathsIn(json, json.$defs ?? {}))
    const known = new Set(rows.map(({ field }) => field))
    t.deepEqual([...read].filter((field) => !known.has(field)), [])
    t.deepEqual(inCode(rows, 'served').filter((field) => !read.has(field)), [])
  })

  test(`${name}: a field that no list has is named in a header, and refused where the server is strict`, async (t) => {
    const api = await openTestApi()
    t.teardown(() => api.close())
    const response = await api.post(path, { ...body, temprature: 1 })
    t.is(response.status, 200)
    t.is(response.headers.get('x-ignored-fields'), 'temprature')
    t.is((await api.post(path, body)).headers.get('x-ignored-fields'), null)
    const strict = await openTestApi({ strictFields: true })
    t.teardown(() => strict.close())
    const refused = await strict.post(path, { ...body, temprature: 1 })
    t.is(refused.status, 400)
    t.regex(await refused.text(), /temprature: The server knows no field of this name/)
  })

  test(`${name}: a refused field is named, and values that ask for nothing pass`, async (t) => {
    const api = await openTestApi()
    t.teardown(() => api.close())
    for (const field of inCode(rows, 'refused')) {
      const refused = await api.post(path, { ...body, [field]: 'x7' })
      t.is(refused.status, 400, field)
      t.true((await refused.text()).includes(`"message":"${field}: `), field)
      for (const nothing of [null, false, '', [], {}]) t.is((await api.post(path, { ...body, [field]: nothing })).status, 200, `${field}: ${JSON.stringify(nothing)}`)
    }
  })
}

/** Members that the owner of a field needs beside it, by the owner's path. */
const NEEDED: Readonly<Record<string, object>> = {
  'messages[]': { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
  'messages[].content[]': { type: 'text', text: 'Hi' },
  'messages[].content[].content[]': { type: 'text', text: 'Hi' },
  'system[]': { type: 'text', text: 'Be brief.' },
  cache_control: { type: 'ephemeral' },
  'system[].cache_control': { type: 'ephemeral' },
  'tools[].cache_control': { type: 'ephemeral' },
  'messages[].content[].cache_control': { type: 'ephemeral' },
  'messages[].content[].content[].cache_control': { type: 'ephemeral' },
  thinking: { type: 'enabled' },
  'input[]': { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] },
  'input[].content[]': { type: 'input_text', text: 'Hi' },
  'text.format': { type: 'json_schema', name: 'a', schema: {} },
}
const TOOLS: Readonly<Record<string, object>> = { Messages: { name: 'f', input_schema: {} }, Responses: { type: 'function', name: 'f' } }

/** A body in which the field has the value; its owners have what they need. */
function bodyWith({ name, body }: Format, field: string, value: unknown): object {
  const put = (owner: object, at: string, [part = '', ...rest]: readonly string[]): object => {
    const key = part.replace('[]', '')
    if (rest.length === 0) return { ...owner, [key]: value }
    const path = at === '' ? part : `${at}.${part}`
    const isResult = path === 'messages[].content[]' && rest[0] === 'content[]'
    const needed = isResult ? { type: 'tool_result', tool_use_id: 'a' } : path === 'tools[]' ? TOOLS[name] : NEEDED[path]
    const inner = put({ ...needed }, path, rest)
    return { ...owner, [key]: part === key ? inner : [inner] }
  }
  return put(body, '', field.split('.'))
}

for (const format of FORMATS) {
  test(`${format.name}: a field that is accepted without effect changes nothing of the turn, and is not called unknown`, async (t) => {
    const api = await openTestApi()
    t.teardown(() => api.close())
    for (const { field, list, passes } of format.rows) {
      if (list !== 'accepted') continue
      const value = passes ? 'auto' : ['metadata', 'stream_options', 'client_metadata'].includes(field) ? {} : field === 'thinking.budget_tokens' ? 1024 : field === 'max_tool_calls' ? 3 : field === 'text.verbosity' ? 'low' : 'x'
      const asked = async (given: unknown) => {
        const response = await api.post(format.path, { ...bodyWith(format, field, given), seed: 1 })
        t.is(response.status, 200, `${field}: ${await response.text()}`)
        t.is(response.headers.get('x-ignored-fields'), null, field)
        return { ...api.service.lastRequest, requestId: '' }
      }
      t.deepEqual(await asked(value), await asked(null), field)
    }
  })
}
