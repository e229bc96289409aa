import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { createNativeEngine, type NativeEngineOptions } from '../../ts/engine/native/index.js'
import type { Engine } from '../../ts/engine/types.js'
import { ExitError, type AttentionStoreError } from '../../ts/protocol/errors.js'
import { perSlotTier } from '../../ts/protocol/tiers.js'
import { DEVICE, KERNELS, ON_GPU } from '../support/device.js'
import { defaultModelPath } from '../support/model.js'
import { engineContract, type EngineRequest } from './engine.js'
import { tierContract } from './tier.js'
import { SlotTier } from './tiers.js'

/**
 * Two layers, real tokenizer and template: what the contract asks of an engine does not depend on the model. A GPU's
 * kernels do not have its heads of 16; there it is the default model.
 */
const FIXTURE = fileURLToPath(new URL('../fixtures/models/llama/hf', import.meta.url))

/** Above what a slot needs; the engine makes more slots than asked for. */
const BLOCK_BYTES = ON_GPU ? 2 * 1024 * 1024 : 64 * 1024

const folders: string[] = []

test.after.always(async () => {
  await Promise.all(folders.map(folder => rm(folder, { recursive: true, force: true })))
})

/** Opens an engine that must be refused; the error. */
async function refusal(t: ExecutionContext, options: Pick<NativeEngineOptions, 'device' | 'modelPath' | 'randomWeights'>): Promise<ExitError | undefined> {
  const rest = { kernelCacheDir: KERNELS, threads: 1, maxBatchTokens: 64, hbmBytes: 0, dramBytes: BLOCK_BYTES, ssdBytes: 0, kvDtype: 'bf16' } as const
  return t.throwsAsync(createNativeEngine({ ...options, ...rest }), { instanceOf: ExitError })
}

test('a GPU that is not there is something outside that is missing, by its number', async t => {
  const error = await refusal(t, { device: 'cuda:1000', randomWeights: 'smollm2-135m' })
  t.is(error?.exitCode, 3)
  t.is(error?.code, 'model_device')
  t.is(error?.context['device'], 'cuda:1000')
  t.regex(error?.message ?? '', /^cuda:1000: /)
})

test('a model that a GPU cannot compute is refused with its numbers, also where there is no GPU', async t => {
  const error = await refusal(t, { device: 'cuda', modelPath: FIXTURE })
  t.is(error?.exitCode, 2)
  t.regex(error?.message ?? '', /head dim 16/)
})

test('an error of the engine names what it is about, in fields', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'attentionstore-contract-'))
  folders.push(folder)
  const fitting = {
    modelPath: FIXTURE,
    device: 'cpu',
    kernelCacheDir: KERNELS,
    threads: 1,
    maxBatchTokens: 64,
    hbmBytes: 4 * BLOCK_BYTES,
    dramBytes: 0,
    ssdBytes: 0,
    dataDir: folder,
    kvDtype: 'bf16',
  } as const
  const contextOf = async (options: Partial<NativeEngineOptions>) => {
    const error = await t.throwsAsync<AttentionStoreError>(createNativeEngine({ ...fitting, ...options }))
    return { ...error.context, code: error.code }
  }
  const engine = await createNativeEngine(fitting)
  t.teardown(() => engine.close())
  t.deepEqual(await contextOf({}), { code: 'kv_locked', path: join(folder, 'server.lock'), pid: process.pid })
  const missing = join(folder, 'missing.gguf')
  t.deepEqual(await contextOf({ modelPath: missing, dataDir: join(folder, 'other') }), { code: 'model_io', path: missing, errno: 2 })
  t.like(await contextOf({ kvDtype: 'f8' as 'bf16', dataDir: join(folder, 'other') }), { code: 'invalid_option', option: 'kv dtype' })
  const role = { role: 'Not one word', content: '' }
  const text = await t.throwsAsync<AttentionStoreError>(engine.text.encodeChat({ messages: [role] }, '2026-01-01'))
  t.deepEqual([text.code, text.context], ['invalid_role', { index: 0, role: 'Not one word' }])
  await engine.close()
  const closed = t.throws<AttentionStoreError>(() => engine.stats())
  t.deepEqual([closed.code, closed.context], ['engine_closed', {}])
})

async function nativeEngine(slots: EngineRequest['slots']): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'attentionstore-contract-'))
  folders.push(folder)
  return createNativeEngine({
    modelPath: ON_GPU ? (defaultModelPath() ?? 'the default model is missing') : FIXTURE,
    device: DEVICE,
    kernelCacheDir: KERNELS,
    threads: 2,
    maxBatchTokens: 512,
    hbmBytes: slots.hbm * BLOCK_BYTES,
    dramBytes: slots.dram * BLOCK_BYTES,
    ssdBytes: slots.ssd * BLOCK_BYTES,
    ssdDir: join(folder, 'ssd'),
    dataDir: folder,
    kvDtype: 'bf16',
  })
}

engineContract(test, ({ slots }) => nativeEngine(slots))
tierContract(test, 'slots of the ssd', async () => new SlotTier(await nativeEngine(perSlotTier(tier => (tier === 'hbm' ? 24 : 8)))))
