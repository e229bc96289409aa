// Runs the clients against the scripted servers: AVA for those of npm, pytest for those of Python. Both write TAP. Clients
// that are not installed are skipped by name, or fail where REQUIRE names `clients`. Arguments: files of tests, and names of
// families; without them all.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { defaultModelPath } from '../support/model.js'

const HERE = import.meta.dirname
const PYTHON = join(HERE, 'python/.venv/bin/python')
const AVA = ['node_modules/ava/entrypoints/cli.mjs', '--tap', '--config', 'test/ava/clients.config.js']
/** Far beyond what a slow machine needs to load the tokenizers. */
const START_MS = 300_000

interface Runner {
  readonly name: string
  /** Without it the clients are not installed. */
  readonly needs: string
  readonly suffix: string
  readonly command: string
  readonly args: readonly string[]
}

const RUNNERS: readonly Runner[] = [
  { name: 'the clients of npm', needs: join(HERE, 'node_modules/.installed'), suffix: '.test.ts', command: process.execPath, args: AVA },
  {
    name: 'the clients of Python',
    needs: join(HERE, 'python/.venv/.installed'),
    suffix: '.py',
    command: PYTHON,
    args: ['-m', 'pytest', '--rootdir', join(HERE, 'python'), '-c', join(HERE, 'python/pytest.ini')],
  },
]

interface Servers {
  readonly child: ChildProcess
  /** JSON, as the process told it. */
  readonly families: string
}

async function startServers(names: readonly string[]): Promise<Servers> {
  const args = ['--import=tsx', join(HERE, 'scripted/server.ts'), ...names]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close').then(([code]) => Promise.reject(new Error(`the scripted servers ended with ${code}`)))
  const [families] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line', { signal: AbortSignal.timeout(START_MS) }),
    ended,
  ])
  ended.catch(() => {})
  return { child, families }
}

async function stop({ child }: Servers): Promise<number> {
  child.stdin?.end()
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  return child.exitCode ?? 1
}

async function run({ command, args }: Runner, files: readonly string[], families: string): Promise<number> {
  const env = { ...process.env, CLIENTS_FAMILIES: families, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' }
  const child = spawn(command, [...args, ...files], { env, stdio: 'inherit' })
  const [code] = await once(child, 'close')
  return code ?? 1
}

/** TAP of what is not there; the exit code. */
function missing(name: string, need: 'clients' | 'model'): number {
  const isRequired = (process.env['REQUIRE'] ?? '').split(',').includes(need)
  console.log(isRequired ? `not ok 1 - ${name}: REQUIRE names ${need}, which is missing` : `ok 1 - ${name} (needs ${need}) # SKIP`)
  return isRequired ? 1 : 0
}

async function main(given: readonly string[]): Promise<number> {
  const files = given.filter((name) => /\.(ts|py)$/.test(name))
  const names = given.filter((name) => !files.includes(name))
  const chosen = RUNNERS.filter(({ suffix }) => files.length === 0 || files.some((file) => file.endsWith(suffix)))
  const there = chosen.filter(({ needs }) => existsSync(needs))
  const codes = chosen.filter((runner) => !there.includes(runner)).map(({ name }) => missing(name, 'clients'))
  // The tokenizers come with the clients of npm.
  if (there.length === 0 || !existsSync(RUNNERS[0]?.needs ?? '')) return Math.max(0, ...codes)
  if (names.length === 0 && defaultModelPath() === null) codes.push(missing('the generic family', 'model'))
  const servers = await startServers(names)
  for (const runner of there) codes.push(await run(runner, files.filter((file) => file.endsWith(runner.suffix)), servers.families))
  codes.push(await stop(servers))
  return Math.max(0, ...codes)
}

process.exitCode = await main(process.argv.slice(2))
