// How `serve` starts, logs and stops: docs/interface.md, "Command line".

import { once } from 'node:events'
import { mkdirSync, openSync, watch, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { isStartedByNpm } from '../../ts/cli/parent.js'
import { resolveOptions } from '../../ts/config/resolve.js'
import { checkPlaces } from '../../ts/config/places.js'
import type { RawOptions } from '../../ts/config/options.js'
import { openEngine, type OpenEngine } from '../../ts/engine-choice.js'
import { startError } from '../../ts/engine/native/errors.js'
import { ExitError } from '../../ts/protocol/errors.js'
import { startServer } from '../../ts/index.js'
import { temporaryFolder } from '../support/paths.js'
import { commandLine, quoted, start } from './support/command.js'
import { FakeTerminal } from './support/terminal.js'

const SIZES = ['--hbm-bytes', '32MiB', '--dram-bytes', '64MiB', '--ssd-bytes', '64MiB']
const SIMULATED = ['serve', '--device', 'simulated', '--port', '0', ...SIZES]
const GIB = 2 ** 30

function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], XDG_DATA_HOME: temporaryFolder() }
}

/** Lines of standard error: each must be JSON with its level as a word. */
function logLines(t: ExecutionContext, stderr: string): Record<string, unknown>[] {
  const lines = stderr.split('\n').filter((line) => line !== '')
  return lines.map((line) => {
    t.notThrows(() => JSON.parse(line), line)
    const parsed = JSON.parse(line) as Record<string, unknown>
    t.true(['debug', 'info', 'warn', 'error', 'fatal'].includes(parsed['level'] as string), line)
    t.is(typeof parsed['time'], 'string', line)
    return parsed
  })
}

async function busyPort(t: ExecutionContext): Promise<string> {
  const busy = createServer().listen(0, '127.0.0.1')
  t.teardown(() => busy.close())
  await new Promise((resolve) => busy.once('listening', resolve))
  const address = busy.address()
  return typeof address === 'object' ? String(address?.port) : ''
}

test('what can be refused without the model is refused before it is opened, naming the option', async (t) => {
  const home = temporaryFolder()
  const file = join(home, 'file')
  writeFileSync(file, 'no key')
  let opened = 0
  const open: OpenEngine = (places, listeners) => {
    opened++
    return openEngine(places, listeners)
  }
  const cases: ReadonlyArray<readonly [args: readonly string[], option: string]> = [
    [['--port', await busyPort(t)], '--port'],
    [['--host', '192.0.2.1', '--allow-unauthenticated'], '--host'],
    [['--data-dir', join(file, 'data')], '--data-dir'],
    [['--request-log', join(home, 'no', 'such', 'log')], '--request-log'],
    [['--api-keys', file], '--api-keys'],
    [['--cors-origin', 'anything'], '--cors-origin'],
  ]
  for (const [args, option] of cases) {
    const terminal = new FakeTerminal({ XDG_DATA_HOME: home }, open)
    t.is(await terminal.run(...SIMULATED, ...args), 2, option)
    const [line, ...more] = logLines(t, terminal.stderr)
    t.deepEqual(more, [], option)
    t.like(line, { level: 'error', exit_code: 2 }, option)
    t.true(String(line?.['msg']).startsWith(`${option}: `), String(line?.['msg']))
  }
  t.is(opened, 0)
})

test('a disk that is full, or too small for the tier, is found before the model is loaded', async (t) => {
  const home = temporaryFolder()
  const [dataDir, ssdDir] = [join(home, 'data'), join(home, 'ssd')]
  const refusal = async (flags: RawOptions, free: Readonly<Record<string, number>>) => {
    const freeBytes = async (directory: string): Promise<number> => free[directory] ?? 0
    const facts = { freeBytes, diskBytes: freeBytes }
    const error = await t.throwsAsync(checkPlaces(resolveOptions({ flags }), dataDir, ssdDir, facts), { instanceOf: ExitError })
    t.is(error?.exitCode, 2)
    return error?.message ?? ''
  }
  t.regex(await refusal({}, { [dataDir]: 1e6, [ssdDir]: 50 * GIB }), /^--data-dir: .* 976\.6 KiB free.*--no-reuse/)
  const small = { [dataDir]: GIB, [ssdDir]: 3 * GIB }
  const message = await refusal({ ssdBytes: '4GiB' }, small)
  t.regex(message, /^--ssd-bytes: 4\.0 GiB do not fit: the disk of .* has 3\.0 GiB/)
  t.regex(message, /--ssd-path/)
  const passes = (flags: RawOptions, free: number, size = free) =>
    checkPlaces(resolveOptions({ flags }), dataDir, ssdDir, { freeBytes: async () => free, diskBytes: async () => size })
  await t.notThrowsAsync(passes({ ssdBytes: '2GiB' }, 3 * GIB))
  await t.notThrowsAsync(passes({ ssdBytes: '2GiB' }, GIB, 3 * GIB), 'the tier grows while there is room')
  await t.notThrowsAsync(passes({ ssdBytes: '4GiB', device: 'simulated' }, 3 * GIB))
  await t.notThrowsAsync(passes({ ssdBytes: '4GiB', noReuse: true }, 0))
  mkdirSync(join(dataDir, 'store'))
  await t.notThrowsAsync(passes({}, 0, 3 * GIB), 'a server that has been there before starts on a full disk')
})

test('what only the engine finds names the option too', (t) => {
  const told = (code: string) => startError(new Error(JSON.stringify({ code, message: 'why', context: {} }))).message
  t.regex(told('kv_locked'), /--data-dir/)
  t.regex(told('kv_ssd_locked'), /^why; .*--ssd-path/)
  t.regex(told('kv_memory'), /--dram-bytes/)
  t.is(told('model_malformed'), 'why')
})

test('every line that a server writes to standard error is JSON, from its start to its end', async (t) => {
  const child = start(t, commandLine(...SIMULATED, '--log-level', 'debug'), { env: environment() })
  const [, url = ''] = await child.shows(/listening on (http:\S+)\n/)
  t.is((await fetch(`${url}/v1/models`)).status, 200)
  t.is((await fetch(`${url}/no-such-route`)).status, 404)
  child.process.kill('SIGTERM')
  t.is(await child.closed, 0)
  const lines = logLines(t, child.stderr)
  t.true(lines.some((line) => line['route'] === '/v1/models'))
})

test('a standard output that cannot be written does not end a server', async (t) => {
  const env = environment()
  const home = env['XDG_DATA_HOME'] ?? ''
  const watcher = watch(home)
  t.teardown(() => watcher.close())
  const begun = once(watcher, 'change')
  const child = start(t, commandLine(...SIMULATED), { env, stdio: ['ignore', openSync('/dev/full', 'a'), 'pipe'] })
  // The data directory is made: signals are heard from before that on, and the lines of the start come after it.
  await Promise.race([begun, child.closed])
  child.process.kill('SIGTERM')
  t.is(await child.closed, 0)
  t.deepEqual(logLines(t, child.stderr).filter(({ level }) => level === 'fatal'), [])
})

test('warnings of Node, and an error that nothing caught, are lines of the log without any text', async (t) => {
  const troubles = `let warned = false
    process.on('SIGUSR2', () => {
      if (warned) throw new TypeError(['xyzzy', 'secret'].join('-'))
      warned = true
      process.emitWarning('a warning', 'OddWarning')
    })`
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(troubles)}`
  const child = start(t, commandLine(...SIMULATED), { env: { ...environment(), NODE_OPTIONS } })
  await child.shows(/listening/)
  child.process.kill('SIGUSR2')
  while (!child.stderr.includes('OddWarning')) await new Promise((resolve) => child.process.stderr?.once('data', resolve))
  child.process.kill('SIGUSR2')
  t.is(await child.closed, 1)
  const [warning, crash, ...more] = logLines(t, child.stderr).filter(({ level }) => level !== 'info')
  t.like(warning, { level: 'warn', warning: 'OddWarning', msg: 'a warning' })
  t.like(crash, { level: 'fatal', failure: { name: 'TypeError' } })
  t.deepEqual(more, [])
  t.false(child.stderr.includes('xyzzy-secret'))
})

test('the progress of loading is part of the log where standard error is no screen', async (t) => {
  const open: OpenEngine = (places, listeners) => {
    for (const share of [0, 0.1, 0.3, 0.5, 1]) listeners.onProgress?.(share)
    return openEngine(places, listeners)
  }
  const terminal = new FakeTerminal({ XDG_DATA_HOME: temporaryFolder() }, open)
  const ended = terminal.run(...SIMULATED)
  await terminal.shows(/listening/)
  terminal.stop()
  t.is(await ended, 0)
  const progress = logLines(t, terminal.stderr).filter(({ msg }) => msg === 'loading the model')
  t.deepEqual(progress.map(({ share }) => share), [0, 0.3, 0.5, 1])
})

test('a chat template that cannot be used is named at the start', async (t) => {
  const open: OpenEngine = async (places, listeners) => {
    const opened = await openEngine(places, listeners)
    Object.assign(opened.engine, { info: { ...opened.engine.info, hasChatTemplate: false, templateError: 'line 3: no endfor' } })
    return opened
  }
  const terminal = new FakeTerminal({ XDG_DATA_HOME: temporaryFolder() }, open)
  const ended = terminal.run(...SIMULATED)
  await terminal.shows(/listening/)
  t.regex(terminal.stdout, /chat template of the model cannot be used, .*: line 3: no endfor\n/)
  terminal.stop()
  t.is(await ended, 0)
})

test('a tokenizer that was guessed is told at the start', async (t) => {
  const open: OpenEngine = async (places, listeners) => {
    const opened = await openEngine(places, listeners)
    Object.assign(opened.engine, { info: { ...opened.engine.info, tokenizerGuess: 'the file has no tokenizer.ggml.pre; it is read as X' } })
    return opened
  }
  const terminal = new FakeTerminal({ XDG_DATA_HOME: temporaryFolder() }, open)
  const ended = terminal.run(...SIMULATED)
  await terminal.shows(/listening/)
  t.regex(terminal.stdout, /the file has no tokenizer\.ggml\.pre; it is read as X\n/)
  terminal.stop()
  t.is(await ended, 0)
})

test('a server whose npx is killed stops as by a signal', async (t) => {
  const env = { ...environment(), npm_lifecycle_event: 'npx', npm_lifecycle_script: "'attentionstore'" }
  // As npx does: behind a shell that waits for the command.
  const shell = start(t, ['sh', '-c', `${quoted(commandLine(...SIMULATED))}; true`], { env })
  const [, url] = await shell.shows(/listening on (http:\S+)\n/)
  shell.process.kill('SIGTERM')
  // The pipes close when the server has ended too.
  await shell.closed
  await t.throwsAsync(fetch(`${url}/health`))
})

test('the end of npx is a first signal, and a signal with it is no second one', async (t) => {
  const terminal = new FakeTerminal({ XDG_DATA_HOME: temporaryFolder() })
  const ended = terminal.run(...SIMULATED)
  await terminal.shows(/listening/)
  terminal.orphan()
  terminal.stop()
  t.is(await ended, 0)
})

test('only a script that is this program alone ends with its shell', (t) => {
  const isOurs = (script?: string) => isStartedByNpm(script === undefined ? {} : { npm_lifecycle_script: script })
  for (const script of ["'attentionstore'", 'attentionstore', 'attentionstore serve --port 1', 'npx attentionstore serve', '"attentionstore" serve']) t.true(isOurs(script), script)
  for (const script of [undefined, '', 'node x.js', 'attentionstore serve &', 'attentionstore serve & wait', 'nohup attentionstore serve', 'make start', 'attentionstore-bench', 'a; attentionstore']) {
    t.false(isOurs(script), script)
  }
})

test('a reader of the help that goes early is no error', async (t) => {
  const child = start(t, commandLine('serve', '--help'), { env: environment() })
  child.process.stdout?.destroy()
  t.is(await child.closed, 0)
  t.is(child.stderr, '')
})

test('--drain-timeout is the time that running answers have', async (t) => {
  const folder = temporaryFolder()
  mkdirSync(folder, { recursive: true })
  const server = await startServer({ device: 'simulated', port: 0, dataDir: folder, hbmBytes: '32MiB', ssdBytes: 0, logLevel: 'error', drainTimeout: '250ms' })
  const given: unknown[] = []
  const { service } = server
  const close = service.close.bind(service)
  service.close = (graceMs) => {
    given.push(graceMs)
    return close(graceMs)
  }
  await server.close()
  t.deepEqual(new Set(given), new Set([250]))
  const terminal = new FakeTerminal({ XDG_DATA_HOME: folder })
  const ended = terminal.run(...SIMULATED, '--drain-timeout', '90s')
  await terminal.shows(/listening/)
  terminal.stop()
  t.is(await ended, 0)
  t.regex(terminal.stdout, /running answers have 90 s;/)
})
