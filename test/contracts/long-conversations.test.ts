// On real logits: bit for bit those of a server with hbm only, at equal epochs.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { createNativeEngine, type NativeEngineOptions } from '../../ts/engine/native/index.js'
import type { Engine } from '../../ts/engine/types.js'
import { LongConversations, type LongConversationCounts } from '../support/long-conversations.js'

const MODEL = fileURLToPath(new URL('../fixtures/models/llama/hf', import.meta.url))
const CONVERSATIONS = Number(process.env['LONG_CONVERSATIONS'] ?? 8)

interface Way {
  readonly history: 'load' | 'split'
  /** Blocks that the disk gives a second; 0: as many as it can. */
  readonly readBlocks: number
}

// On a slow disk the front of a history is computed beside the back that is read, and blocks are shared while they come.
const WAYS: readonly Way[] = [
  { history: 'load', readBlocks: 0 },
  { history: 'split', readBlocks: 100 },
]

async function hold(folder: string, { history, readBlocks }: Way, seed: number): Promise<LongConversationCounts> {
  const open = (rest: Partial<NativeEngineOptions>): Promise<Engine> =>
    createNativeEngine({
      modelPath: MODEL,
      device: 'cpu',
      kernelCacheDir: join(folder, 'kernels'),
      threads: 2,
      maxBatchTokens: 100,
      hbmBytes: 4 * 2 ** 20,
      dramBytes: 0,
      ssdBytes: 0,
      kvDtype: 'bf16',
      ...rest,
    })
  const ample = await open({})
  const { blockBytes, hostSlotBytes } = ample.info
  await ample.close()
  const limit = readBlocks === 0 ? {} : { ssdReadLimit: readBlocks * hostSlotBytes }
  const disk = { ssdBytes: 400 * hostSlotBytes, ssdDir: join(folder, 'ssd'), dataDir: folder, ...limit }
  return LongConversations.hold(
    {
      tested: () => open({ hbmBytes: 10 * blockBytes, dramBytes: 40 * hostSlotBytes, ...disk }),
      reference: () => open({}),
      service: { dataDir: folder, history },
    },
    seed,
    CONVERSATIONS,
  )
}

for (const way of WAYS) {
  test(`log probabilities of long conversations are the bits of one computation in hbm alone, history: ${way.history}`, async t => {
    const seed = Number(process.env['LONG_CONVERSATIONS_SEED'] ?? 41)
    t.log(`LONG_CONVERSATIONS_SEED=${seed}`)
    t.timeout(600_000)
    const folder = await mkdtemp(join(tmpdir(), 'attentionstore-long-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const counts = await hold(folder, way, seed)
    t.log(JSON.stringify(counts))
    for (const what of ['truncated', 'reused', 'cancelled'] as const) t.true(counts[what] > 0, `${what}: nothing of it happened`)
  })
}
