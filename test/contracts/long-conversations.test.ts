// On real logits: bit for bit those of a server with hbm only, at equal epochs.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { createNativeEngine, type NativeEngineOptions } from '../../ts/engine/native/index.js'
import type { Engine } from '../../ts/engine/types.js'
import { LongConversations } from '../support/long-conversations.js'

const MODEL = fileURLToPath(new URL('../fixtures/models/llama/hf', import.meta.url))
const CONVERSATIONS = Number(process.env['LONG_CONVERSATIONS'] ?? 8)

test('log probabilities of long conversations are the bits of one computation in hbm alone', async t => {
  const seed = Number(process.env['LONG_CONVERSATIONS_SEED'] ?? 11)
  t.log(`LONG_CONVERSATIONS_SEED=${seed}`)
  t.timeout(600_000)
  const folder = await mkdtemp(join(tmpdir(), 'attentionstore-long-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
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
  const disk = { ssdBytes: 400 * hostSlotBytes, ssdDir: join(folder, 'ssd'), dataDir: folder }
  const counts = await LongConversations.hold(
    {
      tested: () => open({ hbmBytes: 10 * blockBytes, dramBytes: 40 * hostSlotBytes, ...disk }),
      reference: () => open({}),
      service: { dataDir: folder, history: 'load' },
    },
    seed,
    CONVERSATIONS,
  )
  t.log(JSON.stringify(counts))
  for (const what of ['truncated', 'reused', 'cancelled'] as const) t.true(counts[what] > 0, `${what}: nothing of it happened`)
})
