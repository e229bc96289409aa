// Models of the Hugging Face Hub: names, the choice of files, the download, and the cache on this machine.

import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { hubCache } from '../../ts/config/hub/cache.js'
import { chooseFiles, isSafePath } from '../../ts/config/hub/choose.js'
import { hubReference, nameOf } from '../../ts/config/hub/reference.js'
import { findModel } from '../../ts/config/model.js'
import { ExitError } from '../../ts/protocol/errors.js'
import { COMMIT, LocalHub } from './support/hub.js'
import { FakeTerminal } from './support/terminal.js'

const GGUF = Buffer.alloc(300_000, 'gguf')
const quiet = (): void => {}

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'attentionstore-hub-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function opened(t: ExecutionContext, files: Record<string, Buffer>) {
  const hub = await LocalHub.open(files)
  t.teardown(() => hub.close())
  const home = folder(t)
  const env = { HOME: home, HF_ENDPOINT: `${hub.url}/` }
  const pull = async (model: string, more: Record<string, string> = {}) => {
    const terminal = new FakeTerminal({ ...env, ...more })
    return { code: await terminal.run('pull', model), path: terminal.stdout.trim(), said: terminal.stderr }
  }
  return { hub, env, pull, cache: hubCache(env) }
}

test('a name of the Hub has parts, and none of them leaves a folder', (t) => {
  t.deepEqual(hubReference('acme/tiny'), { repository: 'acme/tiny', quant: null, revision: 'main' })
  t.deepEqual(hubReference('acme/tiny:Q4_K_M@v1'), { repository: 'acme/tiny', quant: 'Q4_K_M', revision: 'v1' })
  t.is(nameOf({ repository: 'acme/tiny', quant: 'Q8_0', revision: 'v1' }), 'acme/tiny:Q8_0@v1')
  for (const wrong of ['tiny', 'a/b/c', '../b', 'a/..', 'a/b@../../x', 'a/b@x//y', 'a/b@x/', 'a/b:', 'a b/c', '/a/b', 'a/b:..']) t.is(hubReference(wrong), null, wrong)
})

test('a quantisation is chosen as most people run it, or as it is named; projectors and parts are none', (t) => {
  const choose = (paths: string[], quant: string | null = null) => chooseFiles('acme/tiny', paths, quant).files[0]
  t.is(choose(['tiny-Q2_K.gguf', 'tiny-Q8_0.gguf', 'tiny-q4_k_m.gguf', 'mmproj-tiny-Q4_K_M.gguf']), 'tiny-q4_k_m.gguf')
  t.is(choose(['tiny-Q2_K.gguf', 'tiny.Q8_0.gguf']), 'tiny.Q8_0.gguf')
  t.is(choose(['tiny-Q5_0.gguf', 'tiny-Q2_K.gguf']), 'tiny-Q2_K.gguf')
  t.is(choose(['BF16/tiny-BF16.gguf', 'tiny-Q4_K_M.gguf'], 'bf16'), 'BF16/tiny-BF16.gguf')
  t.is(choose(['tiny-IQ4_XS.gguf', 'tiny-Q4_K_S.gguf'], 'Q4_K_S'), 'tiny-Q4_K_S.gguf')
  const none = t.throws(() => choose(['tiny-Q2_K.gguf', 'tiny-Q8_0.gguf'], 'Q6_K'), { instanceOf: ExitError })
  t.regex(none?.message ?? '', /has no Q6_K\. It has tiny-Q2_K\.gguf, tiny-Q8_0\.gguf/)
  const split = t.throws(() => choose(['a-Q4_K_M-00001-of-00002.gguf', 'a-Q4_K_M-00002-of-00002.gguf', 'a-Q2_K.gguf']), { instanceOf: ExitError })
  t.regex(split?.message ?? '', /one of several parts.*a-Q2_K\.gguf/)
})

test('safetensors come with what belongs to them, whole or not at all, and nothing else does', (t) => {
  const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
  const beside = ['config.json', 'tokenizer.json', 'generation_config.json', 'model.safetensors.index.json']
  const { kind, files } = chooseFiles('a/b', [...shards, ...beside, 'pytorch_model.bin', 'run.py', 'onnx/model.onnx', 'README.md'], null)
  t.is(kind, 'safetensors')
  t.deepEqual([...files].toSorted(), [...shards, ...beside].toSorted())
  for (const paths of [[...beside, ...shards.slice(1)], shards, [...beside, 'pytorch_model.bin']]) {
    t.throws(() => chooseFiles('a/b', paths, null), { instanceOf: ExitError })
  }
})

test('a path that leaves its folder is no file of a model', (t) => {
  for (const path of ['../x.gguf', '/etc/x.gguf', 'a/../../x.gguf', 'a\\x.gguf', '.hidden.gguf', 'a//x.gguf', 'x\n.gguf', `${'x'.repeat(300)}.gguf`]) t.false(isSafePath(path), path)
  t.throws(() => chooseFiles('a/b', ['../../evil-Q4_K_M.gguf'], null), { instanceOf: ExitError })
})

test('pull puts the file into the cache that others share, checked, and a second one downloads nothing', async (t) => {
  const { hub, env, pull, cache } = await opened(t, { 'tiny-Q4_K_M.gguf': GGUF, 'tiny-Q2_K.gguf': Buffer.from('x'), 'README.md': Buffer.from('x') })
  const { code, path, said } = await pull('acme/tiny')
  t.is(code, 0, said)
  t.is(path, join(cache, `models--acme--tiny/snapshots/${COMMIT}/tiny-Q4_K_M.gguf`))
  t.deepEqual(readFileSync(path), GGUF)
  t.true(lstatSync(path).isSymbolicLink())
  t.is(readFileSync(join(cache, 'models--acme--tiny/refs/main'), 'utf8'), COMMIT)
  t.regex(said, /downloading acme\/tiny: tiny-Q4_K_M\.gguf, 293\.0 KiB\n(.|\n)*100 %/)
  t.is((await pull('acme/tiny')).code, 0)
  t.deepEqual(hub.downloads, ['tiny-Q4_K_M.gguf'])
  const asked = hub.asked.length
  t.deepEqual(await findModel('acme/tiny', env, quiet), { path, weightBytes: GGUF.length })
  t.deepEqual(await findModel('acme/tiny:Q4_K_M', env, quiet), { path, weightBytes: GGUF.length })
  t.is(hub.asked.length, asked, 'a model that is here asks nobody')
})

test('a model that is not here is downloaded by its name, also at a revision', async (t) => {
  const { env, cache } = await opened(t, { 'tiny-Q8_0.gguf': GGUF })
  const sentences: string[] = []
  const { path } = await findModel('acme/tiny:Q8_0@v1', env, (sentence) => sentences.push(sentence))
  t.deepEqual(readFileSync(path), GGUF)
  t.is(readFileSync(join(cache, 'models--acme--tiny/refs/v1'), 'utf8'), COMMIT)
  t.is(sentences.at(-1), 'downloaded 100 %')
})

test('safetensors are a folder, their small files checked by the hash of git', async (t) => {
  const files = { 'config.json': Buffer.from('{}'), 'tokenizer.json': Buffer.from('{"a":1}'), 'model.safetensors': GGUF, 'evil.py': Buffer.from('x') }
  const { env } = await opened(t, files)
  const { path } = await findModel('acme/tiny', env, quiet)
  t.deepEqual(readdirSync(path).toSorted(), ['config.json', 'model.safetensors', 'tokenizer.json'])
  t.is(readFileSync(join(path, 'tokenizer.json'), 'utf8'), '{"a":1}')
})

test('a download that broke off goes on where it stopped', async (t) => {
  const { hub, pull } = await opened(t, { 'tiny-Q4_K_M.gguf': GGUF })
  hub.breaksOffAfter = 100_000
  const { code, path, said } = await pull('acme/tiny')
  t.is(code, 0, said)
  t.deepEqual(readFileSync(path), GGUF)
  t.regex(hub.downloads.join(), /^tiny-Q4_K_M\.gguf,tiny-Q4_K_M\.gguf bytes=\d+-$/)
})

test('an earlier download that was left unfinished is gone on with', async (t) => {
  const { hub, pull, cache } = await opened(t, { 'tiny-Q4_K_M.gguf': GGUF })
  t.is((await pull('acme/tiny')).code, 0)
  const blobs = join(cache, 'models--acme--tiny/blobs')
  const blob = join(blobs, readdirSync(blobs)[0] ?? '')
  rmSync(blob)
  writeFileSync(`${blob}.incomplete`, GGUF.subarray(0, 1000))
  const { code, path } = await pull('acme/tiny')
  t.is(code, 0)
  t.deepEqual(readFileSync(path), GGUF)
  t.is(hub.downloads.at(-1), 'tiny-Q4_K_M.gguf bytes=1000-')
})

test('wrong bytes are never put in place', async (t) => {
  const { hub, pull, cache } = await opened(t, { 'tiny-Q4_K_M.gguf': GGUF })
  hub.wrongHash = true
  const { code, said } = await pull('acme/tiny')
  t.is(code, 3)
  t.regex(said, /SHA-256/)
  t.deepEqual(readdirSync(join(cache, 'models--acme--tiny/blobs')), [])
  t.false(existsSync(join(cache, 'models--acme--tiny/snapshots')))
})

test('HF_TOKEN opens a model with terms; without it the refusal names it', async (t) => {
  const { hub, pull } = await opened(t, { 'tiny-Q4_K_M.gguf': GGUF })
  hub.token = 'secret'
  const refused = await pull('acme/tiny')
  t.is(refused.code, 3)
  t.regex(refused.said, /without a token.*HF_TOKEN/)
  t.is((await pull('acme/tiny', { HF_TOKEN: 'secret' })).code, 0)
  t.true(hub.asked.slice(1).every(({ authorization }) => authorization === 'Bearer secret'))
})

test('a model that the Hub has not, a Hub that is not there and a name that is none are told apart', async (t) => {
  const { hub, pull } = await opened(t, {})
  t.like(await pull('acme/other'), { code: 2 })
  t.like(await pull('no-name'), { code: 2 })
  t.regex((await pull('acme/tiny', { HF_HUB_OFFLINE: '1' })).said, /HF_HUB_OFFLINE/)
  t.is(hub.asked.length, 1)
  await hub.close()
  const { code, said } = await pull('acme/tiny')
  t.is(code, 3)
  t.regex(said, /acme\/tiny is not on this machine, and http:\/\/127\.0\.0\.1:\d+ did not deliver it: .*ECONNREFUSED.*HF_ENDPOINT/)
})

test('downloads go by the proxy of the environment', async (t) => {
  const { hub, pull } = await opened(t, { 'tiny-Q4_K_M.gguf': GGUF })
  const { code, said } = await pull('acme/tiny', { http_proxy: 'http://127.0.0.1:9' })
  t.is(code, 3, said)
  t.is((await pull('acme/tiny', { http_proxy: 'http://127.0.0.1:9', no_proxy: '127.0.0.1' })).code, 0)
  t.deepEqual(hub.downloads, ['tiny-Q4_K_M.gguf'])
})

test('the cache is where huggingface_hub has it', (t) => {
  t.is(hubCache({ HOME: '/h' }), '/h/.cache/huggingface/hub')
  t.is(hubCache({ HOME: '/h', XDG_CACHE_HOME: '/c' }), '/c/huggingface/hub')
  t.is(hubCache({ HF_HOME: '/f' }), '/f/hub')
  t.is(hubCache({ HF_HOME: '/f', HF_HUB_CACHE: '/g' }), '/g')
})

test('a directory with one GGUF file is that file, with several the refusal lists them', async (t) => {
  const home = folder(t)
  const models = join(home, 'models')
  mkdirSync(models)
  writeFileSync(join(models, 'one.gguf'), 'xx')
  t.deepEqual(await findModel(models, { HOME: home }, quiet), { path: join(models, 'one.gguf'), weightBytes: 2 })
  writeFileSync(join(models, 'two.gguf'), 'xx')
  const error = await t.throwsAsync(findModel(models, { HOME: home }, quiet), { instanceOf: ExitError })
  t.regex(error?.message ?? '', /2 GGUF files; name one of them: one\.gguf, two\.gguf/)
})
