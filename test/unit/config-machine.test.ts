import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { lockDataDir } from '../../ts/config/data-dir-lock.js'
import { DEFAULT_MODEL } from '../../ts/config/default-model.js'
import { fitTiers, readMachine } from '../../ts/config/machine.js'
import { findModel } from '../../ts/config/model.js'
import { dataDirectory, modelsDirectory } from '../../ts/config/paths.js'
import { resolveOptions } from '../../ts/config/resolve.js'
import { ExitError } from '../../ts/protocol/errors.js'

const GIB = 2 ** 30
const MIB = 2 ** 20

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'attentionstore-machine-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('tiers are shares of the memory beside the weights, within bounds', (t) => {
  const options = resolveOptions({})
  const tiers = (available: number, limit = Number.POSITIVE_INFINITY) =>
    fitTiers(options, { memoryLimit: limit, availableMemory: available, freeDisk: 50 * GIB, storedBytes: 0 }, GIB)
  t.deepEqual(tiers(17 * GIB), { hbmBytes: 2 * GIB, dramBytes: 4 * GIB, ssdBytes: 10 * GIB })
  t.deepEqual(tiers(17 * GIB, 9 * GIB), { hbmBytes: GIB, dramBytes: 2 * GIB, ssdBytes: 10 * GIB })
  t.like(tiers(GIB / 2), { hbmBytes: 256 * MIB, dramBytes: 512 * MIB })
  t.like(tiers(1000 * GIB), { hbmBytes: 4 * GIB, dramBytes: 32 * GIB })
})

test('the disk tier is a fifth of what is free, at most 20 GiB', (t) => {
  const ssd = (freeDisk: number, storedBytes = 0) =>
    fitTiers(resolveOptions({}), { memoryLimit: GIB, availableMemory: GIB, freeDisk, storedBytes }, 0).ssdBytes
  t.is(ssd(10 * GIB), 2 * GIB)
  t.is(ssd(1000 * GIB), 20 * GIB)
  t.is(ssd(8 * GIB, 2 * GIB), 2 * GIB, 'as big at the next start, when its own file is there')
})

test('what is given stays, and without reuse there is only the first tier', (t) => {
  const machine = { memoryLimit: GIB, availableMemory: GIB, freeDisk: GIB, storedBytes: 0 }
  const flags = { hbmBytes: '1MiB', dramBytes: '0', ssdBytes: '3MiB' }
  t.deepEqual(fitTiers(resolveOptions({ flags }), machine, 0), { hbmBytes: MIB, dramBytes: 0, ssdBytes: 3 * MIB })
  t.deepEqual(fitTiers(resolveOptions({ flags: { ...flags, noReuse: true } }), machine, 0), { hbmBytes: MIB, dramBytes: 0, ssdBytes: 0 })
})

test('the machine is measured where the data will be, also before the directory exists', async (t) => {
  const machine = await readMachine(join(folder(t), 'not', 'yet'))
  t.true(machine.availableMemory > 0)
  t.true(machine.memoryLimit > 0)
  t.true(machine.freeDisk > 0)
  t.is(machine.storedBytes, 0)
})

test('what the disk tier has allocated already is counted, by blocks on the disk and not by length', async (t) => {
  const directory = folder(t)
  writeFileSync(join(directory, 'slots'), Buffer.alloc(MIB, 1))
  truncateSync(join(directory, 'slots'), GIB)
  const { storedBytes } = await readMachine(directory)
  t.true(storedBytes >= MIB && storedBytes < GIB, `${storedBytes}`)
})

test('directories follow the XDG variables, which must be absolute', (t) => {
  t.is(modelsDirectory({ XDG_CACHE_HOME: '/c' }), '/c/attentionstore/models')
  t.is(modelsDirectory({ XDG_CACHE_HOME: 'relative', HOME: '/h' }), '/h/.cache/attentionstore/models')
  t.is(dataDirectory({ HOME: '/h' }), '/h/.local/share/attentionstore')
  t.is(dataDirectory({ XDG_DATA_HOME: '/d' }), '/d/attentionstore')
})

const quiet = (): void => {}

test('a leading dot, slash or tilde makes a path, anything else is a name', async (t) => {
  const home = folder(t)
  const models = join(home, '.cache/attentionstore/models')
  mkdirSync(join(models, 'org/name'), { recursive: true })
  writeFileSync(join(models, 'tiny.gguf'), 'xxxx')
  writeFileSync(join(models, 'org/name/model-1.safetensors'), 'xx')
  writeFileSync(join(models, 'org/name/model-2.safetensors'), 'xxx')
  writeFileSync(join(home, 'own.gguf'), 'x')
  const find = (model: string) => findModel(model, { HOME: home }, quiet)
  t.deepEqual(await find('tiny'), { path: join(models, 'tiny.gguf'), weightBytes: 4 })
  t.deepEqual(await find('org/name'), { path: join(models, 'org/name'), weightBytes: 5 })
  t.deepEqual(await find('~/own.gguf'), { path: join(home, 'own.gguf'), weightBytes: 1 })
  t.deepEqual(await find(join(home, 'own.gguf')), { path: join(home, 'own.gguf'), weightBytes: 1 })
  for (const wrong of ['none', './none.gguf', 'a/../../x', 'two words', 'x/', 'org/../tiny']) {
    const error = await t.throwsAsync(find(wrong), { instanceOf: ExitError })
    t.is(error?.exitCode, 2)
    t.true(error?.message.startsWith('--model'), wrong)
  }
})

test('a default model that is there is not fetched again', async (t) => {
  const cache = folder(t)
  const models = join(cache, 'attentionstore/models')
  mkdirSync(models, { recursive: true })
  const { truncate } = await import('node:fs/promises')
  writeFileSync(join(models, DEFAULT_MODEL.file), '')
  await truncate(join(models, DEFAULT_MODEL.file), DEFAULT_MODEL.bytes)
  const found = await findModel(null, { XDG_CACHE_HOME: cache }, () => t.fail('it fetches'))
  t.is(found.weightBytes, DEFAULT_MODEL.bytes)
})

test('a data directory has one holder, which a second names by its pid', async (t) => {
  const directory = join(folder(t), 'data')
  const lock = await lockDataDir(directory)
  const error = await t.throwsAsync(lockDataDir(directory), { instanceOf: ExitError })
  t.is(error?.exitCode, 2)
  t.true(error?.message.includes(String(process.pid)))
  await lock.release()
  await (await lockDataDir(directory)).release()
})
