// deploy/Dockerfile and .dockerignore, by a linter and by rules of our own. No test builds the image.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import dockerignore from '@balena/dockerignore'
import test from 'ava'
import { DockerfileParser, type Copy, type Dockerfile, type Instruction } from 'dockerfile-ast'
import { validate } from 'dockerfile-utils'
import { SERVE_OPTIONS } from '../../../ts/config/options.js'
import { resolveOptions } from '../../../ts/config/resolve.js'
import { ROOT } from '../../support/paths.js'
import { openTestApi } from '../support/api.js'

const text = readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8')
const file = DockerfileParser.parse(text)
const ignored = dockerignore.default().add(readFileSync(join(ROOT, '.dockerignore'), 'utf8'))

const argumentsOf = (instruction: Instruction): string[] => instruction.getArguments().map((argument) => argument.getValue())
const named = (keyword: string, of: Dockerfile = file): Instruction[] => of.getInstructions().filter((one) => one.getKeyword() === keyword)

/** The JSON form of a command. */
function commandOf(keyword: string): string[] {
  const [instruction] = named(keyword)
  const [json = '[]'] = /\[.*\]/s.exec(instruction?.getTextContent() ?? '') ?? []
  return JSON.parse(json) as string[]
}

function environment(): Record<string, string> {
  const pairs = named('ENV').flatMap(argumentsOf).map((pair) => pair.split('=', 2))
  return Object.fromEntries(pairs.map(([name = '', value = '']) => [name, value]))
}

/** A sentence for each base image that may be another one tomorrow. */
function looseImages(of: Dockerfile): string[] {
  const stages = new Set<string>()
  return of.getFROMs().flatMap((from) => {
    const [image = '', stage = ''] = [from.getImage() ?? '', from.getBuildStage() ?? '']
    const isPinned = stages.has(image) || /:\d+\.\d+\.\d+-[a-z-]+$|@sha256:[0-9a-f]{64}$/.test(image)
    stages.add(stage)
    return isPinned ? [] : [`${image} names no release and no base`]
  })
}

/** Paths of the tree that are copied; copies from other stages are none. */
function copiedPaths(): string[] {
  const fromTree = named('COPY').filter((copy) => (copy as Copy).getFlags().every((flag) => flag.getName() !== 'from'))
  return fromTree.flatMap((copy) => argumentsOf(copy).slice(0, -1))
}

test('the linter of the Dockerfile finds nothing, and would', (t) => {
  const problems = (content: string) => validate(content).map(({ message }) => message)
  t.deepEqual(problems(text), [])
  t.true(problems(text.replace('WORKDIR /src', 'WORKDIR src').replace('EXPOSE 8080', 'EXPOSED 8080')).length > 1)
})

test('base images are of one release, and every stage that is copied from exists', (t) => {
  t.deepEqual(looseImages(file), [])
  t.deepEqual(looseImages(DockerfileParser.parse('FROM node:24 AS a\nFROM a\nFROM rust\n')).length, 2)
  const stages = file.getFROMs().map((from) => from.getBuildStage() ?? '')
  t.deepEqual(stages, ['addon', 'packages', 'cuda-libraries', 'runtime', 'cuda', 'cpu'])
  const sources = [...text.matchAll(/(?:--|,)from=([\w-]+)/g)].map(([, stage = '']) => stage)
  t.deepEqual(sources.filter((stage) => !stages.includes(stage)), [])
})

test('copied files exist in the tree, and .dockerignore lets them into the build', (t) => {
  const paths = copiedPaths()
  t.true(paths.length > 10)
  for (const path of paths) {
    t.true(existsSync(join(ROOT, path)), path)
    const probe = statSync(join(ROOT, path)).isDirectory() ? `${path}/file` : path
    t.false(ignored.ignores(probe), path)
  }
})

test('keys, models and whatever was built before stay out of the build', (t) => {
  const built = ['.git/config', 'target/release/a', 'node_modules/a/index.js', 'ts/node_modules/a/index.js', 'ts/dist/cli/main.js', 'ts/native/attentionstore.node']
  const own = ['api-keys.jsonl', '.env', 'shared/a', '.models/a.gguf', 'ts/a.gguf', 'web/node_modules/a', 'deploy/keys.jsonl']
  for (const path of [...built, ...own]) t.true(ignored.ignores(path), path)
  for (const path of ['ts/cli/main.ts', 'crates/kv/src/lib.rs', 'benches/native/Cargo.toml', 'web/src/App.vue']) t.false(ignored.ignores(path), path)
})

test('the server in the image is no superuser, and writes below its volume alone', (t) => {
  t.deepEqual(named('USER').map(argumentsOf), [['1000:1000']])
  t.deepEqual(named('VOLUME').flatMap(argumentsOf), ['/data'])
  const { XDG_CACHE_HOME: cache = '', ATTENTIONSTORE_DATA_DIR: store = '' } = environment()
  for (const path of [cache, store]) t.true(path.startsWith('/data/'), path)
  const keywords = file.getInstructions().map((one) => one.getKeyword())
  t.false(keywords.slice(keywords.indexOf('USER')).includes('RUN'), 'a command behind USER runs as the user')
})

test('the image listens on the default port, with options that the server knows', (t) => {
  t.deepEqual(named('EXPOSE').flatMap(argumentsOf), [String(SERVE_OPTIONS.port.default)])
  t.deepEqual([...commandOf('ENTRYPOINT'), ...commandOf('CMD')], ['attentionstore', 'serve'])
  const env = environment()
  // Other machines reach it, so the user says who may ask.
  t.throws(() => resolveOptions({ env }), { message: /--allow-unauthenticated/ })
  const options = resolveOptions({ env: { ...env, ATTENTIONSTORE_ALLOW_UNAUTHENTICATED: 'true' } })
  t.like(options, { host: '0.0.0.0', port: SERVE_OPTIONS.port.default, dataDir: '/data/store' })
})

test('the health check passes while the server is healthy, and fails without one', async (t) => {
  const [program, ...args] = commandOf('HEALTHCHECK')
  t.is(program, 'node')
  const check = async (port: string): Promise<number> => {
    const child = spawn(process.execPath, args, { env: { ATTENTIONSTORE_PORT: port }, stdio: 'ignore' })
    return ((await once(child, 'close')) as [number])[0]
  }
  const api = await openTestApi()
  const { port } = new URL(api.url)
  t.is(await check(port), 0)
  await api.close()
  t.is(await check(port), 1)
})
