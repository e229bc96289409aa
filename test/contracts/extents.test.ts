// The files of the real engine's ssd tier: one server a directory, room that comes as it is needed, and two models that
// share a directory.

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { createNativeEngine } from '../../ts/engine/native/index.js'
import type { Engine, EngineEvent } from '../../ts/engine/types.js'
import { ExitError } from '../../ts/protocol/errors.js'
import { createInferenceService } from '../../ts/service/service.js'
import type { InferenceService } from '../../ts/service/types.js'
import { bytesIn } from '../support/files.js'
import { Talk } from '../support/talk.js'

const modelPath = (name: string): string => fileURLToPath(new URL(`../fixtures/models/${name}/hf`, import.meta.url))
const KIB = 1024
const MIB = 2 ** 20

function temporaryFolder(t: { teardown(close: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-extents-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function openEngine(folder: string, dataDir: string, ssdBytes: number, model = 'llama'): Promise<Engine> {
  return createNativeEngine({
    modelPath: modelPath(model),
    device: 'cpu',
    kernelCacheDir: join(folder, 'kernels'),
    threads: 1,
    maxBatchTokens: 64,
    dataDir: join(folder, dataDir),
    ssdDir: join(folder, 'ssd'),
    hbmBytes: 8 * MIB,
    dramBytes: 8 * MIB,
    ssdBytes,
    kvDtype: 'bf16',
  })
}

/** Bytes that the file system says that the tier's directory takes. */
function bytesOnDisk(folder: string): number {
  const directory = join(folder, 'ssd')
  return [directory, ...readdirSync(directory).map(name => join(directory, name))].reduce((sum, path) => sum + 512 * statSync(path).blocks, 0)
}

test('a second server on one --ssd-path does not start, and names the option, the path and the process that holds it', async t => {
  const folder = temporaryFolder(t)
  const first = await openEngine(folder, 'one', MIB)
  const refused = await t.throwsAsync(openEngine(folder, 'two', MIB), { instanceOf: ExitError })
  t.is(refused?.exitCode, 2)
  t.is(refused?.message, `${join(folder, 'ssd')} is in use by process ${process.pid}; give this server another --ssd-path`)
  await first.close()
  await (await openEngine(folder, 'two', MIB)).close()
})

test('a new server takes little of the disk, more when it is asked to, and never more than the bound', async t => {
  const folder = temporaryFolder(t)
  const bound = 200 * MIB
  const engine = await openEngine(folder, 'data', bound)
  const { info } = engine
  t.true(bytesOnDisk(folder) < 65 * MIB)
  t.true(info.committed.ssd * info.hostSlotBytes <= 64 * MIB && info.committed.ssd < info.slots.ssd)
  const told: EngineEvent[] = []
  await new Promise<void>(resolve => {
    engine.onEvents = events => {
      told.push(...events)
      if (events.some(event => event.kind === 'committed' && event.tier === 'ssd' && event.slots === info.slots.ssd)) resolve()
    }
    engine.grow('ssd', info.slots.ssd)
  })
  t.true(told.every(event => event.kind === 'committed' && event.error === undefined))
  t.true(bytesOnDisk(folder) <= bound && bytesOnDisk(folder) > bound - 64 * KIB, `${bytesOnDisk(folder)} of ${bound}`)
  await engine.close()
})

/** A server of one of the models; `work` with it, and it closes. */
async function serve<Result>(folder: string, model: string, ssdBytes: number, work: (service: InferenceService, engine: Engine) => Promise<Result>): Promise<Result> {
  const engine = await openEngine(folder, 'data', ssdBytes, model)
  const service = createInferenceService(engine, { dataDir: join(folder, 'data'), maxContext: 512 })
  try {
    return await work(service, engine)
  } finally {
    await service.close(0)
    await engine.close()
  }
}

/** The conversation has a turn, and its blocks lie on the disk. Answers the key of its first block. */
async function talkTo(service: InferenceService, engine: Engine, talk: Talk): Promise<Buffer> {
  await talk.turn(service, 'A most peculiar question about the harbour. '.repeat(5))
  await service.demote('ssd')
  const messages = talk.messages.map(({ role, content }) => ({ role, content: String(content) }))
  const { tokens } = await engine.text.encodeChat({ messages }, '2026-03-01')
  const [key = ''] = await engine.text.keys(engine.text.root(talk.tenant, ''), tokens, null)
  return Buffer.from(key, 'latin1')
}

test('models A, B, A: A finds its blocks again, and an erasure reaches them while B serves', async t => {
  const folder = temporaryFolder(t)
  const [kept, gone] = [new Talk('kept'), new Talk('gone', 'another tenant')]
  const bound = 4 * MIB
  const keys = await serve(folder, 'llama', bound, async (service, engine) => [await talkTo(service, engine, kept), await talkTo(service, engine, gone)])
  await serve(folder, 'qwen2', bound, async (service, engine) => {
    await talkTo(service, engine, new Talk('other'))
    const { erased } = await service.conversations.erase('gone', null)
    t.true(erased.remains > 0)
  })
  t.deepEqual(keys.map(key => bytesIn(join(folder, 'ssd')).includes(key)), [true, false])
  await serve(folder, 'llama', bound, async service => {
    const usage = await kept.turn(service, 'And then?')
    t.true(usage.reusedTokens.ssd > 0.6 * usage.promptTokens, JSON.stringify(usage))
    t.is(service.counters().droppedBlocks['foreign'], 0)
  })
})
