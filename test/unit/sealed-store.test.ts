// The store keeps token ids, which are users' text, and no file of the data directory shows them.

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { AnswerRecords } from '../../ts/conversations/records.js'
import { openDatabase } from '../../ts/directory/database.js'
import { Directory } from '../../ts/directory/directory.js'
import { SEAL_BYTES, Sealer } from '../../ts/directory/seal.js'
import { openEnvironment, openTable } from '../../ts/directory/store-format.js'
import { BlockStore } from '../../ts/directory/store.js'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import type { Fault } from '../../ts/protocol/fault.js'
import { bytesIn, littleEndian } from '../support/files.js'
import { simulatedService } from '../support/simulated-service.js'
import { Talk, temporaryStore } from '../support/talk.js'

const ROOT = 'r'.repeat(32)
const KEY = 'k'.repeat(32)
const SECRET = new Uint8Array(32).fill(7)
/** Ids that nothing else in a file looks like. */
const TOKENS = Uint32Array.from({ length: 64 }, (_, at) => 70_000 + 31 * at)

/** Four ids in a row are no accident. */
const ids = (tokens: Uint32Array): Buffer => littleEndian(tokens.subarray(0, 4))

test('a sealed value opens under its own name, purpose and secret alone', (t) => {
  const sealer = new Sealer(SECRET, 'a')
  const name = Buffer.from('name')
  const value = Buffer.from('value')
  const sealed = sealer.seal(name, value)
  t.is(sealed.length, value.length + SEAL_BYTES)
  t.false(sealed.includes(value))
  t.deepEqual(sealer.open(name, sealed), value)
  t.deepEqual(new Sealer(SECRET, 'a').open(name, sealed), value)
  t.is(sealer.open(Buffer.from('other'), sealed), null)
  t.is(new Sealer(SECRET, 'b').open(name, sealed), null)
  t.is(new Sealer(new Uint8Array(32), 'a').open(name, sealed), null)
})

test('a sealed value of which a byte was changed, or that was cut off, does not open', (t) => {
  const sealer = new Sealer(SECRET, 'a')
  const name = Buffer.from('name')
  const sealed = sealer.seal(name, Buffer.from('value'))
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed)
    changed[at] = (changed[at] as number) ^ 1
    t.is(sealer.open(name, changed), null, `byte ${at}`)
    t.is(sealer.open(name, sealed.subarray(0, at)), null, `cut after ${at} bytes`)
  }
})

test('no nonce comes twice, in one sealer or in the next', (t) => {
  const nonces = [1, 2].flatMap(() => {
    const sealer = new Sealer(SECRET, 'a')
    return Array.from({ length: 2000 }, () => sealer.seal(ROOT_NAME, EMPTY).toString('latin1', 0, 12))
  })
  t.is(new Set(nonces).size, nonces.length)
})

const ROOT_NAME = Buffer.from('name')
const EMPTY = new Uint8Array()

/** A store in `dataDir` with a block and an answer of `TOKENS`; it is closed again. */
async function stored(dataDir: string): Promise<void> {
  const database = openDatabase(dataDir)
  const directory = new Directory({ hbm: 1, dram: 1, ssd: 4 })
  const store = new BlockStore(database.table('blocks'))
  store.restore(directory, 'this model')
  const block = directory.obtain(KEY, ROOT, 0, TOKENS)
  directory.reserve('ssd')?.become(block, 'present')
  store.put(block)
  new AnswerRecords(database.table('answers'), 1e6).put(KEY, { conversation: 'mine', tokens: TOKENS, bytes: 300, reasoning: 0, whole: true })
  await database.close()
}

/** What a store gives back. */
async function found(dataDir: string) {
  const database = openDatabase(dataDir)
  const directory = new Directory({ hbm: 1, dram: 1, ssd: 4 })
  const report = new BlockStore(database.table('blocks')).restore(directory, 'this model')
  const answer = new AnswerRecords(database.table('answers'), 1e6).get(KEY)
  await database.close()
  return { report, answer: answer?.tokens, block: directory.blocks.get(KEY)?.tokens, dropped: database.droppedBlocks }
}

test('token ids of blocks and answers lie sealed on the disk, and come back', async (t) => {
  const dataDir = temporaryStore(t)
  await stored(dataDir)
  t.false(bytesIn(dataDir).includes(ids(TOKENS)))
  t.like(await found(dataDir), { report: { restored: 1, foreign: 0, damaged: 0 }, answer: TOKENS, block: TOKENS, dropped: 0 })
})

test('with another secret nothing of a store is served, and it starts again', async (t) => {
  const dataDir = temporaryStore(t)
  await stored(dataDir)
  writeFileSync(join(dataDir, 'server.secret'), SECRET)
  t.like(await found(dataDir), { report: { restored: 0, foreign: 1, damaged: 0 }, answer: undefined, block: undefined })
  t.like(await found(dataDir), { report: { restored: 0, foreign: 0, damaged: 0 } })
})

/** A store as servers made it before values were sealed. */
async function storeOfFormat1(dataDir: string): Promise<void> {
  const path = join(dataDir, 'store')
  mkdirSync(path, { recursive: true })
  const root = openEnvironment(path)
  const put = (table: string, key: string, value: Uint8Array) =>
    openTable(root, table).put(Buffer.from(key, 'latin1'), Buffer.from(value))
  await put('blocks', 'meta', Buffer.from('this model'))
  for (const slot of ['\0\0\0\0', '\0\0\0\x01']) await put('blocks', `s${slot}`, Buffer.from(TOKENS.buffer))
  await put('answers', KEY, Buffer.from(TOKENS.buffer))
  const conversation = { id: 'mine', tenant: '', forkedFrom: null, createdAt: 1, lastUse: 1, turns: 3, tokens: 9, leftOut: 0, date: '2026-01-01', tips: [], leaf: null }
  await put('conversations', '\0mine', Buffer.from(JSON.stringify(conversation)))
  await root.flushed
  await root.close()
}

test('of a store of before sealing conversations are carried over; its token ids leave the disk', async (t) => {
  const dataDir = temporaryStore(t)
  await storeOfFormat1(dataDir)
  t.true(bytesIn(dataDir).includes(ids(TOKENS)), 'the test looks where they are')
  const database = openDatabase(dataDir)
  t.is(database.droppedBlocks, 2)
  t.deepEqual([...database.table('blocks').entries(), ...database.table('answers').entries()], [])
  const [conversation] = [...database.table('conversations').entries()]
  t.like(JSON.parse(Buffer.from(conversation?.value ?? []).toString()), { id: 'mine', turns: 3 })
  await database.close()
  t.false(bytesIn(dataDir).includes(ids(TOKENS)))
  t.false(bytesIn(dataDir).includes('"turns":3'))
  const again = openDatabase(dataDir)
  t.is(again.droppedBlocks, 0)
  await again.close()
})

test('a conversion that was broken off is done again, and one that was done is kept', async (t) => {
  const dataDir = temporaryStore(t)
  await storeOfFormat1(dataDir)
  mkdirSync(join(dataDir, 'store.new'))
  await openDatabase(dataDir).close()
  t.deepEqual(readdirSync(dataDir).sort(), ['server.secret', 'store'])
  const before = createHash('sha256').update(readFileSync(join(dataDir, 'store/data.mdb'))).digest('hex')
  await openDatabase(dataDir).close()
  t.is(createHash('sha256').update(readFileSync(join(dataDir, 'store/data.mdb'))).digest('hex'), before)
})

test('blocks of another format or model are dropped with one line that counts them', async (t) => {
  const dataDir = temporaryStore(t)
  await storeOfFormat1(dataDir)
  const faults: Fault[] = []
  const served = simulatedService({}, { dataDir, onFault: (fault) => faults.push(fault) })
  t.deepEqual(faults.map(({ code, context }) => [code, context]), [['foreign_blocks', { blocks: 2 }]])
  t.is(served.service.counters().droppedBlocks['foreign'], 2)
  await served.close()
})

/** Values of a table of a closed store, opened. */
async function valuesIn(dataDir: string, table: string): Promise<Buffer[]> {
  const database = openDatabase(dataDir)
  const values = [...database.table(table).entries()].map(({ value }) => Buffer.from(value))
  await database.close()
  return values
}

function assertHidden(t: ExecutionContext, dataDir: string, texts: readonly string[], tokens: readonly Uint32Array[]): void {
  const files = bytesIn(dataDir)
  for (const text of texts) t.false(files.includes(text), text)
  for (const some of tokens) t.false(files.includes(ids(some)), `${some.subarray(0, 4)}`)
}

test('no file of the data directory has the ids or the text of a conversation, before it is erased or afterwards', async (t) => {
  const dataDir = temporaryStore(t)
  const disk = new SimulatedDisk('disk')
  let served = simulatedService({ disk }, { dataDir })
  const talk = new Talk('mine')
  await talk.turn(served.service, 'a most peculiar question, asked at some length so that it fills a block. '.repeat(5))
  const messages = talk.messages.map(({ role, content }) => ({ role, content: String(content) }))
  const { tokens } = await served.engine.text.encodeChat({ messages }, '2026-03-01')
  const answer = messages.at(-1)?.content ?? ''
  const said = await served.engine.text.encodePrompt(answer)
  await served.close()
  const [inBlock, ofAnswer] = [tokens.subarray(16, 20), said.subarray(4, 8)]
  t.true((await valuesIn(dataDir, 'blocks')).some((value) => value.includes(ids(inBlock))), 'the store has these ids')
  t.true((await valuesIn(dataDir, 'answers')).some((value) => value.includes(ids(ofAnswer))), 'the store has these ids')
  const texts = ['peculiar', answer.slice(8, 24)]
  assertHidden(t, dataDir, texts, [inBlock, ofAnswer])
  served = simulatedService({ disk }, { dataDir })
  await served.service.conversations.erase('mine', null)
  await served.close()
  assertHidden(t, dataDir, texts, [inBlock, ofAnswer])
  t.deepEqual(await valuesIn(dataDir, 'answers'), [])
  t.false((await valuesIn(dataDir, 'blocks')).some((value) => value.includes(ids(inBlock))))
})
