// The whole TypeScript side in one process: a server as the package's users start it, on the simulated engine.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import OpenAI from 'openai'
import { startServer, type RunningServer } from '../../ts/index.js'
import type { Usage } from '../../ts/protocol/index.js'
import { openTestApi } from './support/api.js'
import { FakeTerminal } from './support/terminal.js'

interface Started {
  readonly server: RunningServer
  readonly client: OpenAI
  readonly folder: string
}

async function start(t: ExecutionContext, more: Record<string, unknown> = {}): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'attentionstore-simulated-'))
  const server = await startServer({
    device: 'simulated',
    port: 0,
    hbmBytes: '32MiB',
    dramBytes: '64MiB',
    ssdBytes: '128MiB',
    dataDir: join(folder, 'data'),
    requestLog: join(folder, 'requests.jsonl'),
    logLevel: 'error',
    ...more,
  })
  t.teardown(async () => {
    await server.close(0)
    rmSync(folder, { recursive: true, force: true })
  })
  return { server, client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 }), folder }
}

type Messages = OpenAI.ChatCompletionMessageParam[]

/** Streams one turn; the text and the usage. */
async function turn(client: OpenAI, messages: Messages): Promise<{ text: string; usage: Usage }> {
  const stream = await client.chat.completions.create({
    model: 'simulated',
    messages,
    temperature: 0,
    max_tokens: 12,
    stream: true,
    stream_options: { include_usage: true },
  })
  let text = ''
  let usage: unknown
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? ''
    usage = chunk.usage ?? usage
  }
  return { text, usage: usage as Usage }
}

test('a returning turn reuses what the turn before computed, and stays in its conversation', async (t) => {
  const { client, server } = await start(t)
  const messages: Messages = [{ role: 'user', content: 'a first message that is long enough to fill more than one block of tokens' }]
  const first = await turn(client, messages)
  t.is(first.usage.prompt_tokens_details.cached_tokens, 0)
  messages.push({ role: 'assistant', content: first.text }, { role: 'user', content: 'and more' })
  const second = await turn(client, messages)
  t.true(second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens + first.usage.completion_tokens - 2)
  t.is(second.usage.attentionstore.conversation, first.usage.attentionstore.conversation)
  const { reused_tokens: reused, computed_tokens: computed } = second.usage.attentionstore
  t.is(reused.hbm + reused.dram + reused.ssd + computed, second.usage.prompt_tokens)
  server.service.checkIntegrity()
})

test('the request log of a server has no text, and is a trace for bench', async (t) => {
  const { client, server, folder } = await start(t)
  const first = await turn(client, [{ role: 'user', content: 'hello' }])
  await server.close(0)
  const path = join(folder, 'requests.jsonl')
  const log = readFileSync(path, 'utf8')
  t.false(log.includes('hello'))
  t.like(JSON.parse(log), { input_tokens: first.usage.prompt_tokens, output_tokens: first.usage.completion_tokens, reused: 0 })
  const target = await openTestApi({}, { vocabSize: 50_000 })
  t.teardown(() => target.close())
  t.is(await new FakeTerminal().run('bench', '--url', target.url, '--trace', path), 0)
  const { prompt, maxTokens } = target.service.lastRequest
  t.is(prompt.kind === 'tokens' ? prompt.tokens.length : 0, first.usage.prompt_tokens)
  t.is(maxTokens, first.usage.completion_tokens)
})

test('a server closes twice without harm and frees its port and its directory', async (t) => {
  const { server, folder } = await start(t)
  await Promise.all([server.close(0), server.close(0)])
  await t.throwsAsync(fetch(`${server.url}/health`))
  const next = await startServer({ device: 'simulated', port: 0, dataDir: join(folder, 'data'), hbmBytes: '32MiB', ssdBytes: 0, dramBytes: 0, logLevel: 'error' })
  await next.close(0)
  t.pass()
})

test('work that comes while the server drains is refused, what runs is answered', async (t) => {
  const { server, client } = await start(t)
  const running = await client.chat.completions.create({ model: 'simulated', messages: [{ role: 'user', content: 'hi' }], max_tokens: 40, ignore_eos: true, stream: true } as OpenAI.ChatCompletionCreateParamsStreaming)
  const closing = server.close(60_000)
  const refused = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'x' }),
  })
  t.is(refused.status, 503)
  t.is(refused.headers.get('retry-after'), '10')
  let finish: string | null = null
  for await (const { choices } of running) finish = choices[0]?.finish_reason ?? finish
  t.is(finish, 'length')
  await closing
})

test('the options of connections and streams reach the server', async (t) => {
  const body = JSON.stringify({ prompt: 'tell me', max_tokens: 8, ignore_eos: true, stream: true })
  const streamed = async (more: Record<string, unknown>) => {
    const { server } = await start(t, more)
    const response = await fetch(`${server.url}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    return { text: await response.text(), keepAlive: response.headers.get('keep-alive') }
  }
  // A step of the simulated machine takes longer than a millisecond.
  const talkative = await streamed({ streamKeepAlive: '1ms', keepAliveTimeout: '33s' })
  t.true(talkative.text.includes(': keep-alive\n\n'))
  t.is(talkative.keepAlive, 'timeout=33')
  const quiet = await streamed({ streamKeepAlive: 'none' })
  t.false(quiet.text.includes('keep-alive'))
  t.is(quiet.keepAlive, 'timeout=75')
})

test('--strict-fields refuses a field that the server does not know, and is off by default', async (t) => {
  const send = async ({ server }: Started) => {
    const body = JSON.stringify({ prompt: 'x', max_tokens: 1, temprature: 1 })
    const response = await fetch(`${server.url}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    await response.text()
    return [response.status, response.headers.get('x-ignored-fields')]
  }
  t.deepEqual(await send(await start(t, { strictFields: true })), [400, null])
  t.deepEqual(await send(await start(t)), [200, 'temprature'])
})
