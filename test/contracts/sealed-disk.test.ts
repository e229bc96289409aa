// The real engine's headers and the store hold the token ids of a conversation, and no file of the data directory shows
// them: not while the conversation is kept, and not when it was erased.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { openDatabase } from '../../ts/directory/database.js'
import { createNativeEngine } from '../../ts/engine/native/index.js'
import type { Engine } from '../../ts/engine/types.js'
import { createInferenceService } from '../../ts/service/service.js'
import type { InferenceService } from '../../ts/service/types.js'
import { bytesIn, littleEndian } from '../support/files.js'
import { Talk } from '../support/talk.js'

const MODEL = fileURLToPath(new URL('../fixtures/models/llama/hf', import.meta.url))
const SLOT_BYTES = 64 * 1024

interface Opened {
  readonly engine: Engine
  readonly service: InferenceService
  close(): Promise<void>
}

async function open(folder: string): Promise<Opened> {
  const sizes = { hbmBytes: 60 * SLOT_BYTES, dramBytes: 60 * SLOT_BYTES, ssdBytes: 60 * SLOT_BYTES, ssdDir: join(folder, 'ssd') }
  const engine = await createNativeEngine({ modelPath: MODEL, device: 'cpu', kernelCacheDir: join(folder, 'kernels'), threads: 2, maxBatchTokens: 64, dataDir: folder, kvDtype: 'bf16', ...sizes })
  const service = createInferenceService(engine, { dataDir: folder, maxContext: 512 })
  const close = async (): Promise<void> => {
    await service.close(0)
    await engine.close()
  }
  return { engine, service, close }
}

/** Ids of the conversation as they would lie in a header or a record, and the key of its first block. */
async function tracesOf({ engine }: Opened, talk: Talk) {
  const messages = talk.messages.map(({ role, content }) => ({ role, content: String(content) }))
  const { tokens } = await engine.text.encodeChat({ messages }, '2026-03-01')
  const [key = ''] = await engine.text.keys(engine.text.root(talk.tenant, ''), tokens, null)
  return { ids: littleEndian(tokens.subarray(16, 24)), key: Buffer.from(key, 'latin1') }
}

test('token ids and text of a conversation are in no file, before it is erased or afterwards', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'attentionstore-sealed-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const talk = new Talk('mine')
  const first = await open(folder)
  await talk.turn(first.service, 'A most peculiar question about the harbour. '.repeat(5))
  await first.service.demote('ssd')
  const { ids, key } = await tracesOf(first, talk)
  await first.close()
  const kept = bytesIn(folder)
  t.true(kept.includes(key), 'the block is on the disk')
  t.false(kept.includes(ids))
  t.false(kept.includes('peculiar'))
  const database = openDatabase(folder)
  t.true([...database.table('blocks').entries()].some(({ value }) => Buffer.from(value).includes(ids)), 'the store has the ids')
  await database.close()
  const second = await open(folder)
  const { reusedTokens } = await talk.turn(second.service, 'And then?')
  t.true(reusedTokens.ssd > 0, 'what is sealed is of use after a restart')
  await second.service.conversations.erase('mine', null)
  await second.close()
  const left = bytesIn(join(folder, 'ssd'))
  t.false(left.includes(key), 'no header names the block any more')
  t.false(bytesIn(folder).includes(ids))
  t.false(bytesIn(folder).includes('peculiar'))
})
