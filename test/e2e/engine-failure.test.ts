// A server process whose engine ends: what its clients, its log and its supervisor see.

import test from 'ava'
import { FAIL_SIGNAL, failingServer } from '../support/failing-server.js'
import { TestServer } from '../support/server.js'

const ARGS = ['--device', 'simulated', '--hbm-bytes', '32MiB', '--dram-bytes', '64MiB', '--ssd-bytes', '64MiB', '--log-level', 'info']

/** A stream of which a first token has come, and the rest of its text. */
async function streaming(server: TestServer): Promise<() => Promise<string>> {
  const response = await server.post('/v1/completions', { prompt: 'tell me everything', max_tokens: 4000, ignore_eos: true, stream: true })
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const read = async () => Buffer.from((await reader.read()).value ?? []).toString()
  for (let text = ''; !text.includes('data: '); ) text += await read()
  return async () => {
    let text = ''
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += Buffer.from(part.value).toString()
    return text
  }
}

test('a process whose engine ends flushes its answers, logs one line and exits with 1', async (t) => {
  const server = await TestServer.start({ ...failingServer(), args: ARGS })
  const rest = await streaming(server)
  process.kill(server.pid, FAIL_SIGNAL)
  const text = await rest()
  t.regex(text, /data: \{"error":\{"message":"The engine stopped: the device is gone \(device_lost\)".*"code":"engine_error"\}\}\n\n$/)
  t.false(text.includes('[DONE]'))
  t.is(await server.ended(), 1)
  t.is(server.errors.length, 1, server.output)
  t.like(JSON.parse(server.errors[0] as string), { level: 'fatal', code: 'device_lost', msg: 'The engine stopped: the device is gone (device_lost)' })
})

test('a process whose engine ends while it drains exits with 1', async (t) => {
  const server = await TestServer.start({ ...failingServer(), args: ARGS })
  const rest = await streaming(server)
  process.kill(server.pid, 'SIGTERM')
  await server.shows(/stopping/)
  process.kill(server.pid, FAIL_SIGNAL)
  t.true((await rest()).includes('"code":"engine_error"'))
  t.is(await server.ended(), 1)
})

test('a process whose engine ends and leaves something that runs for ever is killed', async (t) => {
  const server = await TestServer.start({ ...failingServer({ hangs: true }), args: ARGS })
  process.kill(server.pid, FAIL_SIGNAL)
  t.is(await server.ended(), 'SIGKILL')
})
