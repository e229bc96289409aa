import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { createNativeEngine } from '../../ts/engine/native/index.js'
import { engineContract } from './engine.js'

/** Two layers, real tokenizer and template: what the contract asks of an engine does not depend on the model. */
const MODEL = fileURLToPath(new URL('../fixtures/models/llama/hf', import.meta.url))

/** Above what a tiny model's slots need; the engine makes more slots than asked for. */
const BLOCK_BYTES = 64 * 1024

const folders: string[] = []

test.after.always(async () => {
  await Promise.all(folders.map(folder => rm(folder, { recursive: true, force: true })))
})

engineContract(test, async ({ slots }) => {
  const folder = await mkdtemp(join(tmpdir(), 'attentionstore-contract-'))
  folders.push(folder)
  return createNativeEngine({
    modelPath: MODEL,
    threads: 2,
    maxBatchTokens: 512,
    hbmBytes: slots.hbm * BLOCK_BYTES,
    dramBytes: slots.dram * BLOCK_BYTES,
    ssdBytes: slots.ssd * BLOCK_BYTES,
    ssdDir: join(folder, 'ssd'),
    dataDir: folder,
    kvDtype: 'bf16',
  })
})
