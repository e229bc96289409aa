// The packages that `make pack` makes, here with the addon of `make build`: installed with npm by a user who has a new home
// and neither compiler nor Python, the program serves, addon and page inside.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, symlinkSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import test from 'ava'
import { packAll } from '../../scripts/packing/packages.js'
import { ask } from '../support/conversation.js'
import { defaultModelPath } from '../support/model.js'
import { ROOT, temporaryFolder } from '../support/paths.js'
import { testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'

const folder = temporaryFolder()
const [home, programs, prefix] = ['home', 'programs', 'prefix'].map((name) => join(folder, name)) as [string, string, string]
const launcher = join(prefix, 'bin/attentionstore')
const installed = join(prefix, 'lib/node_modules')
const optional = join(installed, 'attentionstore-linux-x64-gnu')

/** All that the user has: no python3, cargo, cc, gcc or make among them. */
const PROGRAMS = ['node', 'npm', 'sh', 'env']

/** A registry that does not answer fails the test instead of holding it. */
const NPM_MS = 300_000

const bare = { HOME: home, PATH: programs }

function programPath(name: string): string {
  const found = (process.env['PATH'] ?? '').split(delimiter).map((part) => join(part, name)).find((path) => existsSync(path))
  if (found === undefined) throw new Error(`${name} is not on the PATH`)
  return realpathSync(found)
}

/** The cache and the registry stay those of the tests' user: the home is empty, the network need not be slow. */
function npmSettings(): Record<string, string> {
  const lines = execFileSync('npm', ['config', 'get', 'cache', 'userconfig'], { encoding: 'utf8' }).trim().split('\n')
  return Object.fromEntries(lines.map((line) => line.split('=', 2)).map(([key, value = '']) => [`npm_config_${key}`, value]))
}

test.before('both tarballs are installed for a user who has no compiler', () => {
  for (const path of [home, programs]) mkdirSync(path)
  for (const name of PROGRAMS) symlinkSync(programPath(name), join(programs, name))
  const tarballs = packAll({ root: ROOT, addon: join(ROOT, 'ts/native/attentionstore.node'), into: join(folder, 'packages'), glibc: null })
  const options = ['--no-audit', '--no-fund', '--prefer-offline', '--fetch-timeout=60000', `--prefix=${prefix}`]
  const env = { ...npmSettings(), ...bare }
  execFileSync(join(programs, 'npm'), ['install', '-g', ...options, ...tarballs], { cwd: home, env, stdio: ['ignore', 'ignore', 'pipe'], timeout: NPM_MS })
})

function run(args: readonly string[], input: string): { readonly code: number | null; readonly out: string; readonly err: string } {
  const { status, stdout, stderr } = spawnSync(launcher, [...args], { env: bare, cwd: home, input, encoding: 'utf8', timeout: NPM_MS })
  return { code: status, out: stdout, err: stderr }
}

test.serial('the program is installed without Rust, and beside it the addon of its platform', (t) => {
  t.deepEqual(readdirSync(programs).toSorted(), PROGRAMS.toSorted())
  t.deepEqual(readdirSync(optional).toSorted(), ['LICENSE', 'README.md', 'attentionstore.linux-x64-gnu.node', 'package.json'])
  t.deepEqual(
    readdirSync(join(installed, 'attentionstore')).toSorted(),
    ['LICENSE', 'README.md', 'bin', 'dist', 'node_modules', 'package.json', 'web-dist'],
  )
  const files = readdirSync(join(installed, 'attentionstore'), { recursive: true, encoding: 'utf8' })
  const own = files.filter((path) => !path.startsWith('node_modules'))
  const { version, optionalDependencies } = JSON.parse(readFileSync(join(installed, 'attentionstore/package.json'), 'utf8')) as Record<string, unknown>
  t.deepEqual(optionalDependencies, { 'attentionstore-linux-x64-gnu': version })
  t.deepEqual(own.filter((path) => /\.(rs|toml|map|node|test\.js)$/.test(path)), [])
})

test.serial('the installed package serves the page and the API without a model', async (t) => {
  const server = await TestServer.start({ launcher, args: ['--device', 'simulated'], env: bare })
  const page = await (await server.get('/')).text()
  t.regex(page, /<div id="app">/)
  const script = /src="\.\/(assets\/[^"]+\.js)"/.exec(page)?.[1]
  t.is((await server.get(`/${script}`)).status, 200)
  const answer = await ask(server, [{ role: 'user', content: 'Hello' }], { max_tokens: 4, ignore_eos: true })
  t.is(answer.usage.completion_tokens, 4)
  t.is(await server.stop(), 0)
})

testNeeding('model')('the installed package runs the model with the addon of the optional package, and chats', async (t) => {
  const server = await TestServer.start({ launcher, args: ['--model', defaultModelPath() ?? ''], env: bare })
  const { code, out, err } = run(['chat', '--url', server.url, '--temperature', '0', '--max-tokens', '8'], 'Say hello.\n')
  t.is(code, 0, err)
  t.regex(out, /^Hello/m)
  t.regex(out, /answer 8 tokens/)
  t.is(await server.stop(), 0)
})

testNeeding('model')('without the optional package a sentence says what to install', (t) => {
  renameSync(optional, `${optional}-away`)
  t.teardown(() => renameSync(`${optional}-away`, optional))
  const { code, out, err } = run(['serve', '--port', '0', '--device', 'cpu', '--model', defaultModelPath() ?? ''], '')
  t.is(code, 3)
  t.is(out, '')
  t.regex(err, /optional package attentionstore-linux-x64-gnu.*npm install attentionstore-linux-x64-gnu@\d/)
})
