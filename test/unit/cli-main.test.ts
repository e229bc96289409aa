import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { OPTION_KEYS, kebab } from '../../ts/config/options.js'
import { PACKAGE_ROOT, VERSION } from '../../ts/version.js'
import { FakeTerminal } from './support/terminal.js'

const SIMULATED = ['--device', 'simulated', '--port', '0', '--hbm-bytes', '32MiB', '--dram-bytes', '64MiB', '--ssd-bytes', '64MiB', '--log-level', 'error']

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'attentionstore-cli-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function run(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const terminal = new FakeTerminal()
  const code = await terminal.run(...args)
  return { code, out: terminal.stdout, err: terminal.stderr }
}

test('help lists the commands, and that of serve every option with its default', async (t) => {
  const program = await run('--help')
  t.is(program.code, 0)
  for (const command of ['serve', 'chat', 'bench', 'simulate']) t.true(program.out.includes(command))
  const serve = await run('serve', '--help')
  t.is(serve.code, 0)
  for (const key of OPTION_KEYS) t.true(serve.out.includes(`--${kebab(key)}`), key)
  t.regex(serve.out, /--port[^-]*8080/)
  t.regex(serve.out, /--config/)
  t.is((await run('bench', '--help')).code, 0)
  t.is((await run('chat', '--help')).code, 0)
})

test('the version is that of the package', async (t) => {
  const { code, out } = await run('--version')
  t.deepEqual([code, out], [0, `${VERSION}\n`])
})

test('wrong usage exits with 2 and says what is wrong', async (t) => {
  const cases: ReadonlyArray<readonly [args: readonly string[], word: string]> = [
    [['dance'], 'dance'],
    [['serve', '--colour'], '--colour'],
    [['serve', '--port'], '--port'],
    [['serve', '--port', 'x'], '--port'],
    [['serve', 'extra'], 'serve'],
    [['serve', '--api-keys', 'x'], '--api-keys'],
    [['serve', '--context-window', '100'], '--context-window'],
    [['serve', '--device', 'simulated', '--max-context', '1024', '--context-window', '1100'], '--context-window'],
    [['serve', '--device', 'simulated', '--truncation-ratio', '1.5'], '--truncation-ratio'],
    [['eval', '--needles', '0'], '--corpus'],
    [['eval', '--window', '255'], '--window'],
    [['eval', '--sections', '0'], '--sections'],
    [['serve', '--config', 'no-such.toml'], 'no-such.toml'],
    [['serve', '--host', '0.0.0.0'], '--allow-unauthenticated'],
    [['serve', '--model', './no-such.gguf'], 'no-such.gguf'],
    [['bench', '--url', 'http://localhost:1'], '--trace'],
    [['chat', '--url', 'nowhere'], '--url'],
    [['simulate'], '--trace'],
    [['simulate', '--trace', 'x', '--capacity', '5%', '--policy', 'magic'], 'magic'],
    [['simulate', '--trace', 'x', '--capacity', '101%'], '--capacity'],
    [['simulate', '--trace', 'x', '--capacity', '5%', '--hbm-bytes', '1GiB'], '--hbm-bytes'],
    [[], 'Usage'],
  ]
  for (const [args, word] of cases) {
    const { code, err } = await run(...args)
    t.is(code, 2, args.join(' '))
    t.true(err.includes(word), `${args.join(' ')}: ${err}`)
  }
})

test('a server runs until it is told to stop', async (t) => {
  const terminal = new FakeTerminal({ XDG_DATA_HOME: folder(t) })
  const ended = terminal.run('serve', ...SIMULATED)
  const [, url] = await terminal.shows(/listening on (http:\S+)\n$/)
  t.regex(terminal.stdout, /device +simulated \(cpu-2\)\n/)
  t.regex(terminal.stdout, /hbm 32\.0 MiB; dram 64\.0 MiB; ssd 64\.0 MiB/)
  t.regex(terminal.stdout, /context +\d+ tokens \(the model has 8192/)
  t.is((await fetch(`${url}/ready`)).status, 200)
  terminal.stop()
  t.is(await ended, 0)
  await t.throwsAsync(fetch(`${url}/health`))
})

test('a busy port exits with 2 and is named', async (t) => {
  const busy = createServer().listen(0, '127.0.0.1')
  t.teardown(() => busy.close())
  await new Promise((resolve) => busy.once('listening', resolve))
  const address = busy.address()
  const port = typeof address === 'object' ? String(address?.port) : ''
  const terminal = new FakeTerminal({ XDG_DATA_HOME: folder(t) })
  t.is(await terminal.run('serve', ...SIMULATED, '--port', port), 2)
  t.true(terminal.stderr.includes(`--port: ${port} is in use`))
})

test('a second server on a data directory exits with 2 and names the first', async (t) => {
  const env = { XDG_DATA_HOME: folder(t) }
  const first = new FakeTerminal(env)
  const ended = first.run('serve', ...SIMULATED)
  await first.shows(/listening/)
  const second = new FakeTerminal(env)
  t.is(await second.run('serve', ...SIMULATED), 2)
  t.true(second.stderr.includes(`pid ${process.pid}`))
  first.stop()
  t.is(await ended, 0)
})

test('a context that the first tier cannot hold exits with 2', async (t) => {
  const terminal = new FakeTerminal({ XDG_DATA_HOME: folder(t) })
  t.is(await terminal.run('serve', ...SIMULATED, '--max-context', '8000'), 2)
  t.regex(terminal.stderr, /--max-context: 8000 .* 8192, the hbm tier holds \d+/)
  t.is(await terminal.run('serve', ...SIMULATED, '--hbm-bytes', '2MiB'), 2)
  t.regex(terminal.stderr, /--hbm-bytes/)
})

test('options come from the environment and from a file too', async (t) => {
  const home = folder(t)
  const config = join(home, 'server.toml')
  writeFileSync(config, 'device = "simulated"\nhbm-bytes = "48MiB"\nport = 0\nlog-level = "error"\nssd-bytes = 0\n')
  const terminal = new FakeTerminal({ XDG_DATA_HOME: home, ATTENTIONSTORE_CONFIG: config, ATTENTIONSTORE_DRAM_BYTES: '0' })
  const ended = terminal.run('serve', '--served-model-name', 'one', '--served-model-name', 'two')
  await terminal.shows(/listening/)
  t.regex(terminal.stdout, /model +one, two\n/)
  t.regex(terminal.stdout, /hbm 48\.0 MiB; dram off; ssd off\n/)
  terminal.stop()
  t.is(await ended, 0)
})

test('without a build, the launcher says how to make one', (t) => {
  const home = folder(t)
  mkdirSync(join(home, 'bin'))
  writeFileSync(join(home, 'package.json'), '{"type":"module"}')
  copyFileSync(join(PACKAGE_ROOT, 'bin/attentionstore.js'), join(home, 'bin/attentionstore.js'))
  const { status, stderr } = spawnSync(process.execPath, [join(home, 'bin/attentionstore.js'), 'serve'], { encoding: 'utf8' })
  t.is(status, 3)
  t.true(stderr.includes('make build'))
})
