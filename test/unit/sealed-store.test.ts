// The store keeps token ids, which are users' text, and no file of the data directory shows them.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { AnswerRecords } from '../../ts/conversations/records.js'
import { openDatabase } from '../../ts/directory/database.js'
import { Directory } from '../../ts/directory/directory.js'
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
  return { report, answer: answer?.tokens, block: directory.blocks.get(KEY)?.tokens }
}

test('token ids of blocks and answers lie sealed on the disk, and come back', async (t) => {
  const dataDir = temporaryStore(t)
  await stored(dataDir)
  t.false(bytesIn(dataDir).includes(ids(TOKENS)))
  t.like(await found(dataDir), { report: { restored: 1, foreign: 0, damaged: 0 }, answer: TOKENS, block: TOKENS })
})

test('with another secret nothing of a store is served, and it starts again', async (t) => {
  const dataDir = temporaryStore(t)
  await stored(dataDir)
  writeFileSync(join(dataDir, 'server.secret'), SECRET)
  t.like(await found(dataDir), { report: { restored: 0, foreign: 1, damaged: 0 }, answer: undefined, block: undefined })
  t.like(await found(dataDir), { report: { restored: 0, foreign: 0, damaged: 0 } })
})

test('of a store that lmdb wrote nothing is read, its files are deleted, and the log says so', async (t) => {
  const dataDir = temporaryStore(t)
  mkdirSync(join(dataDir, 'store'))
  writeFileSync(join(dataDir, 'store/data.mdb'), littleEndian(TOKENS))
  writeFileSync(join(dataDir, 'store/format'), '2')
  const faults: Fault[] = []
  const served = simulatedService({}, { dataDir, onFault: (fault) => faults.push(fault) })
  await new Talk('mine').turn(served.service)
  await served.close()
  t.deepEqual(faults.map(({ code }) => code), ['store_other_format'])
  t.false(bytesIn(dataDir).includes(ids(TOKENS)))
  t.deepEqual(readdirSync(join(dataDir, 'store')), ['records.sqlite'])
})

test('blocks of another model are dropped with one line that counts them', async (t) => {
  const dataDir = temporaryStore(t)
  await stored(dataDir)
  const faults: Fault[] = []
  const served = simulatedService({}, { dataDir, onFault: (fault) => faults.push(fault) })
  t.deepEqual(faults.map(({ code, context }) => [code, context]), [['foreign_blocks', { blocks: 1 }]])
  t.is(served.service.counters().droppedBlocks['foreign'], 1)
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
