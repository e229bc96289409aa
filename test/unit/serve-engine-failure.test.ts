// `serve` whose engine ends: clients hear of it, and the exit code is 1, whenever it happens.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { openEngine, type OpenedEngine } from '../../ts/engine-choice.js'
import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { FakeTerminal } from './support/terminal.js'

const ARGS = ['--device', 'simulated', '--port', '0', '--hbm-bytes', '32MiB', '--dram-bytes', '64MiB', '--ssd-bytes', '0', '--log-level', 'silent']
const LOST = ['device_lost', 'the device is gone'] as const
const REASON = 'The engine stopped: the device is gone (device_lost)'

interface Served {
  readonly terminal: FakeTerminal
  readonly ended: Promise<number>
  /** The engine; before `opened` has run it does not exist. */
  readonly engine: Promise<SimulatedEngine>
}

/** @param opened Runs when the engine is open and nothing else is; what it answers serves. */
function serve(t: ExecutionContext, opened: (engine: SimulatedEngine, opened: OpenedEngine) => OpenedEngine = (_, as) => as, command = 'serve'): Served {
  const home = mkdtempSync(join(tmpdir(), 'attentionstore-failing-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  let tell: (engine: SimulatedEngine) => void = () => {}
  const engine = new Promise<SimulatedEngine>((resolve) => (tell = resolve))
  const terminal = new FakeTerminal({ XDG_DATA_HOME: home }, async (places, listeners) => {
    const as = await openEngine(places, listeners)
    if (!(as.engine instanceof SimulatedEngine)) throw new Error('the engine is not simulated')
    tell(as.engine)
    return opened(as.engine, as)
  })
  return { terminal, ended: terminal.run(command, ...ARGS), engine }
}

async function urlOf({ terminal }: Served): Promise<string> {
  return (await terminal.shows(/listening on (http:\S+)\n$/))[1] as string
}

function ask(url: string, stream: boolean): Promise<Response> {
  const body = JSON.stringify({ prompt: 'tell me everything', max_tokens: 1000, ignore_eos: true, stream })
  return fetch(`${url}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
}

/** Reads until the stream has shown a token. */
async function firstToken(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  for (let text = ''; !text.includes('data: '); ) text += Buffer.from((await reader.read()).value ?? []).toString()
}

async function rest(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let text = ''
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += Buffer.from(part.value).toString()
  return text
}

test('when the engine ends, running answers end with an error and serve with exit code 1', async (t) => {
  const served = serve(t)
  const url = await urlOf(served)
  const streaming = await ask(url, true)
  const reader = (streaming.body as ReadableStream<Uint8Array>).getReader()
  await firstToken(reader)
  const whole = ask(url, false)
  // The second request has been taken when the metrics count two.
  for (let running = ''; running !== '2'; ) {
    const metrics = await (await fetch(`${url}/metrics`)).text()
    running = /attentionstore_requests\{state="running"\} (\d)/.exec(metrics)?.[1] ?? ''
  }
  ;(await served.engine).fail(...LOST)
  const error = { error: { message: REASON, type: 'server_error', param: null, code: 'engine_error' } }
  const end = await rest(reader)
  t.true(end.endsWith(`data: ${JSON.stringify(error)}\n\n`), end.slice(-300))
  t.false(end.includes('[DONE]'))
  const answer = await whole
  t.is(answer.status, 500)
  t.deepEqual(await answer.json(), error)
  t.is(await served.ended, 1)
  await t.throwsAsync(fetch(`${url}/health`))
})

test('an engine that ends while the server starts ends serve with exit code 1 and its reason', async (t) => {
  const { terminal, ended } = serve(t, (engine, as) => {
    engine.fail(...LOST)
    return as
  })
  t.is(await ended, 1)
  t.like(JSON.parse(terminal.stderr), { level: 'error', code: 'engine_stopped', exit_code: 1, msg: REASON })
  t.notRegex(terminal.stdout, /listening/)
})

test('an engine that ends while the server drains ends serve with exit code 1', async (t) => {
  const served = serve(t)
  const url = await urlOf(served)
  const reader = ((await ask(url, true)).body as ReadableStream<Uint8Array>).getReader()
  await firstToken(reader)
  served.terminal.stop()
  await served.terminal.shows(/stopping/)
  ;(await served.engine).fail(...LOST)
  t.true((await rest(reader)).includes('"code":"engine_error"'))
  t.is(await served.ended, 1)
})

test('an engine that ends while it is closed ends serve with exit code 1', async (t) => {
  const served = serve(t, (engine, as) => ({
    ...as,
    async close() {
      engine.fail(...LOST)
      await as.close()
    },
  }))
  await urlOf(served)
  served.terminal.stop()
  t.is(await served.ended, 1)
})

test('an engine that has ended is not waited for for ever, and may refuse to close', async (t) => {
  const ways: ReadonlyArray<() => Promise<void>> = [() => new Promise(() => {}), () => Promise.reject(new Error('no'))]
  await Promise.all(
    ways.map(async (close) => {
      const served = serve(t, (_, as) => ({ ...as, close }))
      await urlOf(served)
      ;(await served.engine).fail(...LOST)
      t.is(await served.ended, 1)
    }),
  )
})

test('a chat whose own engine ends is over, with its reason and exit code 1', async (t) => {
  const { terminal, ended, engine } = serve(t, undefined, 'chat')
  terminal.input.write('tell me something\n')
  await terminal.shows(/first token after/)
  ;(await engine).fail(...LOST)
  t.is(await ended, 1)
  t.true(terminal.stderr.includes(REASON))
})
