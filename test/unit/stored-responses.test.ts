// Responses in the data directory: found after a restart, gone when they were deleted, erased or damaged, and never in the clear.

import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { conversationKey } from '../../ts/conversations/registry.js'
import { openDatabase } from '../../ts/directory/database.js'
import { ExitError } from '../../ts/protocol/errors.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import { MemoryResponses } from '../../ts/service/kept-responses.js'
import { ResponseStore } from '../../ts/service/response-store.js'
import type { KeptResponse } from '../../ts/service/types.js'
import type { ResponseBody } from '../../ts/surfaces/responses/schemas/response.js'
import { bytesIn } from '../support/files.js'
import { MemoryDatabase } from '../support/memory-database.js'
import { Random } from '../support/random.js'
import { simulatedService } from '../support/simulated-service.js'
import { temporaryStore } from '../support/talk.js'
import { errorOf, openApiOver } from './support/api.js'

const RESPONSES = '/v1/responses'

/** A server on a simulated engine. */
async function serve(t: ExecutionContext, options: Partial<ServiceOptions>) {
  const { service, engine, close } = simulatedService({}, { storeResponses: true, ...options })
  const api = await openApiOver(service, engine, { maxBodyBytes: 2 ** 20 })
  let isOpen = true
  const stop = async (): Promise<void> => {
    if (!isOpen) return
    isOpen = false
    await api.close()
    await close()
  }
  t.teardown(stop)
  const answered = async (body: object, headers: Record<string, string> = {}): Promise<ResponseBody> => {
    const response = await api.post(RESPONSES, { max_output_tokens: 12, temperature: 0, ...body }, headers)
    if (response.status !== 200) throw new Error(await response.text())
    return (await response.json()) as ResponseBody
  }
  const statusOf = async (id: string) => (await fetch(`${api.url}${RESPONSES}/${id}`)).status
  return { ...api, service, stop, answered, statusOf }
}

test('a thread is read, listed and gone on from after a restart; its first answer may be referred to', async (t) => {
  const dataDir = temporaryStore(t)
  let server = await serve(t, { dataDir })
  const first = await server.answered({ input: 'Say at length what the harbour is like.' })
  const second = await server.answered({ input: 'And the lighthouse?', previous_response_id: first.id })
  const kept = { input: 'The keeper?', previous_response_id: second.id }
  const expected = await server.answered({ ...kept, store: false })
  await server.stop()
  server = await serve(t, { dataDir })
  t.deepEqual(await (await fetch(`${server.url}${RESPONSES}/${second.id}`)).json(), second)
  const items = await server.client.responses.inputItems.list(second.id)
  t.like(items.data[0], { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'And the lighthouse?' }] })
  const third = await server.answered(kept)
  t.deepEqual(third.output.map((item) => 'content' in item && item.content), expected.output.map((item) => 'content' in item && item.content))
  t.is(third.usage?.input_tokens, expected.usage?.input_tokens)
  await server.answered({ input: [{ role: 'user', content: 'Hi' }, { type: 'item_reference', id: first.output[0]?.id }, { role: 'user', content: 'Go on.' }] })
})

test('without the option a restart knows no response, and one with it afterwards finds none of before', async (t) => {
  const dataDir = temporaryStore(t)
  let server = await serve(t, { dataDir })
  const { id } = await server.answered({ input: 'Hi' })
  await server.stop()
  server = await serve(t, { dataDir, storeResponses: false })
  t.is(await server.statusOf(id), 404)
  const refused = await server.post(RESPONSES, { input: 'Hi', previous_response_id: id })
  t.deepEqual(await errorOf(refused), { status: 404, code: 'previous_response_not_found', param: 'previous_response_id' })
  await server.stop()
  server = await serve(t, { dataDir })
  t.is(await server.statusOf(id), 404)
})

/** What nobody but the server may read. */
function assertHidden(t: ExecutionContext, dataDir: string, texts: readonly string[]): void {
  const files = bytesIn(dataDir)
  for (const text of texts) t.false(files.includes(text), text)
}

test('no file of the data directory has a text or an id of a response, before it is deleted or afterwards', async (t) => {
  const dataDir = temporaryStore(t)
  let server = await serve(t, { dataDir })
  const response = await server.answered({ input: 'A most peculiar question.', instructions: 'Be whimsical.', metadata: { note: 'clandestine' } })
  const [message] = response.output
  const said = message?.type === 'message' ? (message.content[0]?.text ?? '') : ''
  t.true(said.length > 8)
  const hidden = ['peculiar', 'whimsical', 'clandestine', said.slice(0, 8), response.id, message?.id ?? '']
  await server.stop()
  assertHidden(t, dataDir, hidden)
  server = await serve(t, { dataDir })
  t.is(await server.statusOf(response.id), 200, 'it is there')
  t.is((await fetch(`${server.url}${RESPONSES}/${response.id}`, { method: 'DELETE' })).status, 200)
  await server.stop()
  assertHidden(t, dataDir, hidden)
})

test('with store false nothing is written', async (t) => {
  const dataDir = temporaryStore(t)
  const database = new MemoryDatabase()
  const server = await serve(t, { dataDir, openDatabase: () => database })
  await server.answered({ input: 'Hi', store: false })
  t.deepEqual([...database.table('responses').entries()], [])
  await server.answered({ input: 'Hi' })
  t.is([...database.table('responses').entries()].length, 2)
})

test('a response that was deleted, or whose conversation was erased, is gone even if the power goes after the answer', async (t) => {
  const dataDir = temporaryStore(t)
  const database = new MemoryDatabase('when asked')
  let server = await serve(t, { dataDir, openDatabase: () => database })
  const ofErased = await server.answered({ input: 'Hi' }, { 'x-conversation-id': 'erased' })
  const [deleted, other] = [await server.answered({ input: 'One' }), await server.answered({ input: 'Two' })]
  await database.flushed()
  t.is((await fetch(`${server.url}${RESPONSES}/${deleted.id}`, { method: 'DELETE' })).status, 200)
  t.like(await server.service.conversations.erase('erased', null), { responsesErased: 1 })
  const left = database.afterCrash()
  await server.stop()
  server = await serve(t, { dataDir, openDatabase: () => left })
  t.deepEqual(await Promise.all([deleted, ofErased, other].map(({ id }) => server.statusOf(id))), [404, 404, 200])
})

test('a response of a conversation that a crash has taken is dropped, and so is one that ends after the erasure', async (t) => {
  const database = new MemoryDatabase()
  const known = new Set([conversationKey('', 'here')])
  const open = () => new MemoryResponses({ maxBytes: 1e6, ttlMs: 1000, now: () => 0, store: new ResponseStore(database.table('responses')), isKnown: (key) => known.has(key) })
  const responses = open()
  responses.keep(response('a', { tenant: '', conversation: 'here' }), null)
  responses.keep(response('late', { tenant: '', conversation: 'gone' }), null)
  t.is(responses.find('', 'late'), null)
  known.clear()
  t.is(open().find('', 'a'), null)
  t.deepEqual([...database.table('responses').entries()], [])
})

/** Changes a bit of the sealed value whose first bytes lie behind a key in a file. */
function flipIn(file: string, key: Uint8Array): void {
  const bytes = readFileSync(file)
  const at = bytes.indexOf(key)
  if (at < 0 || bytes.indexOf(key, at + 1) >= 0) throw new Error('the key is not there once')
  const inside = at + key.length + 30
  bytes[inside] = (bytes[inside] as number) ^ 1
  writeFileSync(file, bytes)
}

test('a value that is damaged is a response that is not found; so are those that went on from it, and no others', async (t) => {
  const dataDir = temporaryStore(t)
  for (const kind of ['t', 's']) {
    let server = await serve(t, { dataDir })
    const first = await server.answered({ input: 'One' })
    const second = await server.answered({ input: 'Two', previous_response_id: first.id })
    const other = await server.answered({ input: 'Three' })
    await server.stop()
    const database = openDatabase(dataDir)
    const table = database.table('responses')
    const records = [...table.entries()].filter(({ key }) => String.fromCharCode(key[0] ?? 0) === kind)
    const { key } = records.at(-3) as { key: Uint8Array }
    await database.close()
    flipIn(join(dataDir, 'store/records.sqlite'), key)
    server = await serve(t, { dataDir })
    t.deepEqual(await Promise.all([first, second, other].map(({ id }) => server.statusOf(id))), [404, 404, 200], kind)
    t.is((await server.post(RESPONSES, { input: 'Hi', previous_response_id: second.id })).status, 404)
    await server.stop()
  }
})

test('with another secret a store has no response, and the server starts', async (t) => {
  const [dataDir, elsewhere] = [temporaryStore(t), temporaryStore(t)]
  let server = await serve(t, { dataDir })
  const { id } = await server.answered({ input: 'Hi' })
  await server.stop()
  cpSync(join(dataDir, 'store'), join(elsewhere, 'store'), { recursive: true })
  server = await serve(t, { dataDir: elsewhere })
  t.is(await server.statusOf(id), 404)
})

test('the time of a stored response runs on while the server is away, also when the clock was put back', async (t) => {
  const database = new MemoryDatabase()
  let now = 10_000
  const open = () => new MemoryResponses({ maxBytes: 1e6, ttlMs: 1000, now: () => now, store: new ResponseStore(database.table('responses')) })
  let responses = open()
  responses.keep(response('a'), null)
  responses.keep(response('b'), null)
  now += 600
  t.truthy(responses.find('acme', 'a'))
  now += 500
  responses = open()
  t.deepEqual(['a', 'b'].map((id) => responses.find('acme', id) !== null), [true, false])
  now = 0
  responses = open()
  t.truthy(responses.find('acme', 'a'))
  now += 1000
  responses = open()
  t.is(responses.size, 0)
  t.deepEqual([...database.table('responses').entries()], [])
})

function response(id: string, more: Partial<KeptResponse> = {}): KeptResponse {
  return { tenant: 'acme', id, conversation: 'c', input: `["in ${id}: ü"]`, body: `{"out":"${id}"}`, items: [`item-${id}`], ...more }
}

test('a store that restarts at any moment has what one in memory has, and nothing in its table besides', (t) => {
  const seed = Number(process.env['STORED_RESPONSES_SEED'] ?? 11)
  t.log(`STORED_RESPONSES_SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 15; round++) {
    const maxBytes = 4000 + random.below(30_000)
    const database = new MemoryDatabase()
    let now = 0
    const bounds = { maxBytes, ttlMs: 400, now: () => now }
    const open = () => new MemoryResponses({ ...bounds, store: new ResponseStore(database.table('responses')) })
    const memory = new MemoryResponses(bounds)
    let stored = open()
    const made = new Set<string>()
    for (let use = 0; use < 150; use++) {
      now++
      const tenant = ['acme', 'umbrella', 'initech'][random.below(3)] as string
      const [id, from] = [`r${random.below(60)}`, `r${random.below(60)}`]
      switch (random.below(6)) {
        case 0:
        case 1:
        case 2: {
          if (made.has(`${tenant} ${id}`)) break
          made.add(`${tenant} ${id}`)
          const own = response(id, { tenant, conversation: `c${random.below(4)}`, body: 'x'.repeat(random.below(900)) })
          for (const responses of [memory, stored]) responses.keep(own, responses.thread(tenant, from))
          break
        }
        case 3:
          t.is(stored.forget(tenant, id), memory.forget(tenant, id))
          break
        case 4: {
          const key = conversationKey(tenant, `c${random.below(4)}`)
          if (random.below(3) === 0) t.is(stored.eraseConversation(key), memory.eraseConversation(key))
          break
        }
        case 5:
          now += random.below(40)
          for (const responses of [memory, stored]) responses.expire()
          stored = open()
      }
      const where = `round ${round}, use ${use}`
      t.deepEqual([stored.bytes, stored.size], [memory.bytes, memory.size], where)
      now++
      t.deepEqual(stored.thread(tenant, id)?.responses, memory.thread(tenant, id)?.responses, where)
      now++
      t.deepEqual(stored.ownerOf(tenant, `item-${from}`), memory.ownerOf(tenant, `item-${from}`), where)
    }
    now += 400
    for (const responses of [memory, stored]) responses.expire()
    t.deepEqual([...database.table('responses').entries()], [])
  }
})

test('a service that is to store responses without a directory is refused', (t) => {
  for (const options of [{ dataDir: null }, { dataDir: '/nowhere', noReuse: true }]) {
    const error = t.throws(() => simulatedService({}, { storeResponses: true, ...options }), { instanceOf: ExitError })
    t.like(error, { exitCode: 2, code: 'no_data_directory' })
  }
})
