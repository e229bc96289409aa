// A server whose standard error, standard output and request log cannot be written: it answers, says so, and ends when told.

import { spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import { temporaryFolder } from '../support/paths.js'
import { commandLine } from './support/command.js'

const SIMULATED = ['serve', '--device', 'simulated', '--log-level', 'debug', '--hbm-bytes', '32MiB', '--dram-bytes', '64MiB', '--ssd-bytes', '64MiB']

/** Makes long lines. */
const LONG_ID = { 'x-request-id': 'r'.repeat(128) }

interface Served {
  readonly url: string
  /** Of `/ready`. */
  disks(): Promise<unknown>
  metrics(): Promise<string>
  /** One chat, which both logs have lines of. */
  chat(): Promise<number>
  /** Ends standard error's reader. */
  hangUp(): void
  /** Told to stop, or to throw what nothing catches: the exit code. */
  end(signal: 'SIGTERM' | 'SIGUSR2'): Promise<number | null>
}

/** `err`: standard error is a file of that name, or a pipe that is not read. */
async function serve(t: ExecutionContext, err: string | null, ...args: readonly string[]): Promise<Served> {
  const [file = '', ...words] = commandLine(...SIMULATED, '--port', '0', ...args)
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent("process.on('SIGUSR2', () => { throw new TypeError() })")}`
  const env = { PATH: process.env['PATH'], XDG_DATA_HOME: temporaryFolder(), NODE_OPTIONS }
  const child = spawn(file, words, { env, stdio: ['ignore', 'pipe', err === null ? 'pipe' : openSync(err, 'a')] })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  let shown = ''
  child.stdout?.on('data', (part: Buffer) => (shown += part.toString()))
  for (;;) {
    const url = /listening on (http:\S+)\n/.exec(shown)?.[1]
    if (url !== undefined) return served(url)
    if (!(await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data').then(() => true), ended.then(() => false)]))) throw new Error(`the server ended:\n${shown}`)
  }
  function served(url: string): Served {
    const get = (path: string): Promise<Response> => fetch(`${url}${path}`, { signal: AbortSignal.timeout(60_000) })
    return {
      url,
      disks: async () => ((await (await get('/ready')).json()) as { disks: unknown }).disks,
      metrics: async () => (await get('/metrics')).text(),
      async chat() {
        const body = JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }], max_tokens: 4 })
        const headers = { 'content-type': 'application/json' }
        const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body, signal: AbortSignal.timeout(60_000) })
        await response.text()
        return response.status
      },
      hangUp: () => void child.stderr?.destroy(),
      async end(signal) {
        child.kill(signal)
        const [code] = (await ended) as [number | null]
        return code
      },
    }
  }
}

test('a server whose log and request log are on a full disk answers, says so, and ends when told', async (t) => {
  const server = await serve(t, '/dev/full', '--request-log', '/dev/full')
  for (let i = 0; i < 6; i++) t.is(await server.chat(), 200)
  t.deepEqual(await server.disks(), { log: 'full', request_log: 'full' })
  const metrics = await server.metrics()
  for (const line of ['attentionstore_disk_state{place="log",state="full"} 1', 'attentionstore_disk_state{place="request_log",state="ok"} 0', 'attentionstore_log_lines_dropped_total{log="log"} 0']) {
    t.true(metrics.includes(`${line}\n`), line)
  }
  const disks = (await (await fetch(`${server.url}/admin/disks`)).json()) as { disks: Array<{ place: string; reason: string | null }> }
  t.regex(disks.disks.find(({ place }) => place === 'log')?.reason ?? '', /ENOSPC/)
  t.is(await server.end('SIGTERM'), 0)
})

test('a log that no reader takes holds up nothing, and a reader that has gone is told, and keeps no server from ending by a crash', async (t) => {
  const server = await serve(t, null)
  // Some 400 KB of lines: more than the system keeps for a reader.
  for (let round = 0; round < 2; round++) {
    const requests = Array.from({ length: 256 }, () => fetch(`${server.url}/no-such-route`, { headers: LONG_ID }))
    for (const { status } of await Promise.all(requests)) t.is(status, 404)
  }
  server.hangUp()
  while (JSON.stringify(await server.disks()) !== '{"log":"gone"}') await server.chat()
  t.is(await server.end('SIGUSR2'), 1)
})
