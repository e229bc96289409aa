// `keys`, and a server that is locked with what it makes.

import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { readKeyFile } from '../../ts/auth/key-file.js'
import { keyHash } from '../../ts/auth/keyring.js'
import { FakeTerminal } from './support/terminal.js'

const SIMULATED = ['--device', 'simulated', '--port', '0', '--hbm-bytes', '32MiB', '--dram-bytes', '0', '--ssd-bytes', '0']

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'attentionstore-keys-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function run(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const terminal = new FakeTerminal(env)
  const code = await terminal.run('keys', ...args)
  return { code, out: terminal.stdout, err: terminal.stderr }
}

test('add prints the key alone, once, and keeps its hash in a file of its owner’s', async (t) => {
  const file = join(folder(t), 'keys.jsonl')
  const { code, out, err } = await run({}, 'add', '--name', 'Alice', '--tenant', 'acme', '--file', file)
  t.is(code, 0)
  t.regex(out, /^as_[\w-]{43}\n$/)
  t.true(err.includes(file))
  const key = out.trim()
  t.false(err.includes(key))
  t.is(statSync(file).mode & 0o777, 0o600)
  const [record, ...rest] = readKeyFile(file)
  t.is(rest.length, 0)
  t.like(record, { name: 'Alice', tenant: 'acme', sha256: keyHash(key).toString('hex') })
  t.deepEqual(Object.keys(JSON.parse(readFileSync(file, 'utf8')) as object), ['id', 'name', 'tenant', 'sha256', 'created'])
  t.is(new Date(record?.created ?? '').toISOString(), record?.created ?? '')
})

test('keys are listed without what opens anything, and removed by id', async (t) => {
  const file = join(folder(t), 'keys.jsonl')
  for (const name of ['one', 'two']) await run({}, 'add', '--name', name, '--tenant', 'acme', '--api-keys', file)
  const listed = await run({ ATTENTIONSTORE_API_KEYS: file }, 'list')
  t.is(listed.out.trimEnd().split('\n').length, 3)
  const [one, two] = readKeyFile(file)
  for (const { id, name, created, sha256 } of readKeyFile(file)) {
    t.regex(listed.out, new RegExp(`${id} +acme +${name} +${created}`))
    t.false(listed.out.includes(sha256))
  }
  t.is((await run({}, 'remove', one?.id ?? '', '--file', file)).code, 0)
  t.deepEqual(readKeyFile(file).map(({ id }) => id), [two?.id ?? ''])
  t.is((await run({}, 'revoke', one?.id ?? '', '--file', file)).code, 1)
})

test('without a file, keys lie in the data directory', async (t) => {
  const home = folder(t)
  await run({ XDG_DATA_HOME: home }, 'add', '--name', 'x', '--tenant', 'acme')
  t.is(readKeyFile(join(home, 'attentionstore/api-keys.jsonl')).length, 1)
})

test('wrong names, tenants and files exit with 2 and are named', async (t) => {
  const file = join(folder(t), 'keys.jsonl')
  const cases: ReadonlyArray<readonly [args: readonly string[], word: RegExp]> = [
    [['add', '--tenant', 'acme'], /--name/],
    [['add', '--name', 'x'], /--tenant/],
    [['add', '--name', 'x', '--tenant', 'a b', '--file', file], /--tenant/],
    [['add', '--name', 'a\nb', '--tenant', 'acme', '--file', file], /--name/],
    [['add', '--name', 'x', '--tenant', 'acme', '--file', join(file, 'deeper')], /deeper/],
    [['list', '--file', file], /ENOENT/],
    [['remove', '--file', file], /id/],
    [['dance'], /dance/],
    [[], /Usage/],
  ]
  for (const [args, word] of cases) {
    const { code, err } = await run({}, ...args)
    t.is(code, 2, args.join(' '))
    t.regex(err, word)
  }
})

test('a locked server takes its keys, also those that come with SIGHUP, and keeps them when the file breaks', async (t) => {
  const home = folder(t)
  const [keys, admin] = [join(home, 'keys.jsonl'), join(home, 'admin.jsonl')]
  const add = async (name: string, file: string) => (await run({}, 'add', '--name', name, '--tenant', 'acme', '--file', file)).out.trim()
  const [first, operator] = [await add('first', keys), await add('operator', admin)]
  const terminal = new FakeTerminal({ XDG_DATA_HOME: home })
  // An address that others can reach, because there are keys.
  const ended = terminal.run('serve', ...SIMULATED, '--log-level', 'silent', '--host', '0.0.0.0', '--api-keys', keys, '--admin-key-file', admin)
  const [, port] = await terminal.shows(/listening on http:\/\/0\.0\.0\.0:(\d+)\n$/)
  const url = `http://127.0.0.1:${port}`
  const status = async (key: string, path = '/v1/models') =>
    (await fetch(url + path, { headers: key === '' ? {} : { 'x-api-key': key } })).status
  t.deepEqual([await status(''), await status('wrong'), await status(first)], [401, 401, 200])
  t.deepEqual([await status('', '/metrics'), await status(first, '/metrics'), await status(operator, '/metrics')], [401, 403, 200])
  t.deepEqual([await status('', '/admin/cache'), await status(operator, '/admin/cache')], [401, 200])
  t.deepEqual([await status('', '/health'), await status('', '/')], [200, 200])
  const second = await add('second', keys)
  t.is(await status(second), 401)
  terminal.hangUp()
  t.is(await status(second), 200)
  appendFileSync(keys, 'broken\n')
  terminal.hangUp()
  t.deepEqual([await status(first), await status(second)], [200, 200])
  terminal.stop()
  t.is(await ended, 0)
})

test('a file of keys that is broken at the start exits with 2 and says where', async (t) => {
  const file = join(folder(t), 'keys.jsonl')
  await run({}, 'add', '--name', 'x', '--tenant', 'acme', '--file', file)
  appendFileSync(file, '{"id":1}\n')
  for (const option of ['--api-keys', '--admin-key-file']) {
    const terminal = new FakeTerminal({ XDG_DATA_HOME: folder(t) })
    t.is(await terminal.run('serve', ...SIMULATED, option, file), 2)
    t.regex(terminal.stderr, new RegExp(`${option}: .*keys\\.jsonl: line 2: id`))
  }
  const terminal = new FakeTerminal({ XDG_DATA_HOME: folder(t) })
  t.is(await terminal.run('serve', ...SIMULATED, '--host', '0.0.0.0', '--admin-key-file', file), 2)
  t.regex(terminal.stderr, /--host/)
})

test('chat and bench send the key that the environment has', async (t) => {
  const home = folder(t)
  const keys = join(home, 'keys.jsonl')
  const key = (await run({}, 'add', '--name', 'x', '--tenant', 'acme', '--file', keys)).out.trim()
  const server = new FakeTerminal({ XDG_DATA_HOME: home })
  const ended = server.run('serve', ...SIMULATED, '--log-level', 'silent', '--api-keys', keys)
  const [, url = ''] = await server.shows(/listening on (http:\S+)\n$/)
  const chat = async (env: Record<string, string>) => {
    const terminal = new FakeTerminal(env)
    terminal.type('Hi')
    return terminal.run('chat', '--url', url, '--max-tokens', '4')
  }
  t.is(await chat({}), 3)
  t.is(await chat({ ATTENTIONSTORE_API_KEY: key }), 0)
  const trace = join(home, 'trace.jsonl')
  appendFileSync(trace, '{"timestamp":0,"input_length":512,"output_length":4,"hash_ids":[1]}\n')
  const bench = async (env: Record<string, string>) => {
    const terminal = new FakeTerminal(env)
    await terminal.run('bench', '--url', url, '--trace', trace, '--block-tokens', '64')
    return terminal.stdout + terminal.stderr
  }
  t.regex(await bench({}), /status 401/)
  // Past the key: the simulated model has fewer tokens than the trace's prompts are made of.
  t.regex(await bench({ ATTENTIONSTORE_API_KEY: key }), /vocabulary/)
  server.stop()
  t.is(await ended, 0)
})
