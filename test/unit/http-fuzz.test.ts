// Requests made of the API's own description, whole and nearly whole: none is answered with a server's error, and none
// leaves more in the log than its line.

import { randomInt } from 'node:crypto'
import test from 'ava'
import { Random } from '../support/random.js'
import { type Schema, SchemaValues } from '../support/schema-values.js'
import { openSimulatedApi, type SimulatedApi } from './support/simulated-api.js'

/** `make fuzz-http` sets more. */
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 800)
const AT_ONCE = 8
const LONGEST_LOG_LINE = 4096

interface Operation {
  readonly method: string
  readonly path: string
  readonly parameters: ReadonlyArray<{ readonly name: string; readonly in: string; readonly schema: Schema }>
  readonly body: Schema | null
}

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, {
    readonly parameters?: Operation['parameters']
    readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Schema } } }
  }>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

async function described(api: SimulatedApi): Promise<{ operations: Operation[]; definitions: Readonly<Record<string, Schema>> }> {
  const { paths, components } = (await (await fetch(`${api.url}/openapi.json`)).json()) as Description
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      body: requestBody?.content['application/json'].schema ?? null,
    })),
  )
  return { operations, definitions: components.schemas }
}

/** Half a pair of surrogates has no place in a URL. */
const wellFormed = (value: unknown): string => Buffer.from(String(value)).toString()

/** One request with a body, or the text of one, and parameters that fit or nearly do. */
function requestOf(random: Random, operation: Operation, values: SchemaValues): { path: string; init: RequestInit } {
  const textOf = (value: unknown): string => encodeURIComponent(wellFormed(value))
  const query = new URLSearchParams()
  let { path } = operation
  for (const { name, in: place, schema } of operation.parameters) {
    const value = values.of(schema)
    if (place === 'path') path = path.replace(`{${name}}`, textOf(value) || '_')
    else if (place === 'query') query.set(name, wellFormed(value))
  }
  const suffix = query.size === 0 ? '' : `?${query}`
  if (operation.body === null || operation.method === 'GET') return { path: path + suffix, init: { method: operation.method } }
  const text = JSON.stringify(values.of(operation.body)) ?? ''
  const body = random.below(40) === 0 ? text.slice(0, random.below(text.length + 1)) : text
  return { path: path + suffix, init: { method: operation.method, headers: { 'content-type': 'application/json' }, body } }
}

test(`${REQUESTS} requests made of the description get no server's error and no line of the log above information`, async (t) => {
  t.timeout(600_000)
  const seed = randomInt(2 ** 31)
  t.log(`seed ${seed}`)
  const api = await openSimulatedApi(t)
  const { operations, definitions } = await described(api)
  t.true(operations.length >= 25)
  const random = new Random(seed)
  const tally = new Map<string, number>()

  const once = async (): Promise<void> => {
    const operation = random.pick(operations)
    const strangeness = random.pick([0, 0.01, 0.05, 0.2])
    const { path, init } = requestOf(random, operation, new SchemaValues(random, definitions, strangeness))
    const response = await fetch(api.url + path, init)
    const text = await response.text()
    const about = `seed ${seed}: ${operation.method} ${path} ${String(init.body).slice(0, 2000)} gave ${response.status} ${text.slice(0, 300)}`
    if (response.status >= 500) t.fail(about)
    if (response.status >= 400 && !/"(message|error)"/.test(text)) t.fail(about)
    if (/event: error|"type":"server_error"|"internal"/.test(text)) t.fail(about)
    tally.set(String(response.status), (tally.get(String(response.status)) ?? 0) + 1)
  }
  let left = REQUESTS
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while ((left -= 1) >= 0) await once()
  }))

  t.log([...tally].map(([status, count]) => `${status}: ${count}`).join(', '))
  // Requests that no request gets past would prove nothing.
  t.true((tally.get('200') ?? 0) > REQUESTS / 10, 'a tenth of the requests is served')
  t.deepEqual(api.log.filter((line) => /"level":"?(warn|error|fatal|40|50|60)/.test(line)).slice(0, 5), [])
  t.is(api.log.find((line) => line.length > LONGEST_LOG_LINE), undefined)
  t.is((await fetch(`${api.url}/health`)).status, 200)
})
