// Messages that the client begins, and other wishes about a prompt, on the default model.

import { closeSync, copyFileSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { defaultModelPath } from '../support/model.js'
import { temporaryFolder } from '../support/paths.js'
import { testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'

const modelTest = testNeeding('model')
const SIZES = ['--served-model-name', 'local', '--hbm-bytes', '96MiB', '--dram-bytes', '128MiB', '--ssd-bytes', '0']
const ANSWER = 24

interface Told {
  readonly text: string
  readonly prompt: number
  readonly reused: number
}

async function json<T>(server: TestServer, path: string, body: object): Promise<T> {
  const response = await server.post(path, { model: 'local', temperature: 0, ...body })
  if (response.status !== 200) throw new Error(await response.text())
  return (await response.json()) as T
}

interface Chat {
  readonly choices: ReadonlyArray<{ readonly message: { readonly content: string } }>
  readonly usage: { readonly prompt_tokens: number; readonly prompt_tokens_details: { readonly cached_tokens: number } }
}

async function chat(server: TestServer, body: object): Promise<Told> {
  const { choices, usage } = await json<Chat>(server, '/v1/chat/completions', { max_tokens: ANSWER, ignore_eos: true, ...body })
  return { text: choices[0]?.message.content ?? '', prompt: usage.prompt_tokens, reused: usage.prompt_tokens_details.cached_tokens }
}

const OPEN = { add_generation_prompt: false, continue_final_message: true }
const question = { role: 'user', content: 'Tell me a short story about a lighthouse keeper.' }

modelTest('a message that the client began and the model went on with is reused but for two tokens, and answers as the whole does', async (t) => {
  const server = await TestServer.start({ args: SIZES })
  const begun = 'Once upon a time, at the edge of'
  const first = await chat(server, { messages: [question, { role: 'assistant', content: begun }], ...OPEN })
  t.false(first.text.startsWith('Once'))
  const whole = { role: 'assistant', content: begun + first.text }
  const next = await chat(server, { messages: [question, whole, { role: 'user', content: 'And then?' }] })
  t.true(next.reused >= first.prompt + ANSWER - 2, JSON.stringify([first, next]))
  // The answer that the joined message gets is the one that a server without memory gives.
  const more = await chat(server, { messages: [question, { ...whole, prefix: true }] })
  t.is(more.prompt, first.prompt + ANSWER)
  t.true(more.reused >= first.prompt + ANSWER - 2)
  t.is(await server.stop(), 0)
})

modelTest('a constraint holds for what follows what the client wrote', async (t) => {
  const server = await TestServer.start({ args: SIZES })
  const messages = [{ role: 'user', content: 'Is the sea salty?' }, { role: 'assistant', content: 'My answer is', prefix: true }]
  const { text } = await chat(server, { messages, structured_outputs: { choice: [' yes', ' no'] }, ignore_eos: false })
  t.regex(text, /^ (yes|no)$/)
  t.is(await server.stop(), 0)
})

interface Message {
  readonly content: ReadonlyArray<{ readonly text: string }>
  readonly usage: { readonly input_tokens: number; readonly output_tokens: number; readonly cache_read_input_tokens: number; readonly cache_creation_input_tokens: number }
}

modelTest('a last message of the assistant on /v1/messages is gone on with and remembered', async (t) => {
  const server = await TestServer.start({ args: SIZES })
  const ask = (messages: object[]) => json<Message>(server, '/v1/messages', { messages, max_tokens: ANSWER })
  const begun = 'The keeper, whose name was'
  const first = await ask([question, { role: 'assistant', content: begun }])
  const text = first.content[0]?.text ?? ''
  t.false(text.startsWith('The keeper'))
  const next = await ask([question, { role: 'assistant', content: begun + text }, { role: 'user', content: 'And then?' }])
  const { input_tokens, cache_read_input_tokens: read, cache_creation_input_tokens: created } = first.usage
  const prompt = input_tokens + read + created
  t.true(next.usage.cache_read_input_tokens >= prompt + first.usage.output_tokens - 3, JSON.stringify([first.usage, next.usage]))
  t.is(await server.stop(), 0)
})

modelTest('a raw prompt in the form of the template is the chat, where its special tokens are read', async (t) => {
  const server = await TestServer.start({ args: SIZES })
  const tokens = async (body: object) => (await json<{ tokens: number[] }>(server, '/tokenize', body)).tokens
  const rendered = await tokens({ messages: [{ role: 'system', content: 'Be brief.' }, question] })
  const { prompt } = await json<{ prompt: string }>(server, '/detokenize', { tokens: rendered })
  t.deepEqual(await tokens({ prompt, add_special_tokens: false, parse_special: true }), rendered)
  t.notDeepEqual(await tokens({ prompt, add_special_tokens: false }), rendered)
  const complete = (body: object) => json<{ usage: Chat['usage'] }>(server, '/v1/completions', { prompt, max_tokens: 4, ...body })
  await chat(server, { messages: [{ role: 'system', content: 'Be brief.' }, question] })
  const { usage } = await complete({ parse_special: true, add_special_tokens: false })
  t.is(usage.prompt_tokens, rendered.length)
  t.true(usage.prompt_tokens_details.cached_tokens >= rendered.length - 1)
  const cut = await complete({ parse_special: true, truncate_prompt_tokens: 5 })
  t.is(cut.usage.prompt_tokens, 5)
  t.is(await server.stop(), 0)
})

/** A copy of the default model whose file does not say how its text is cut. */
function modelWithoutPre(): string {
  const path = join(temporaryFolder(), 'model.gguf')
  copyFileSync(defaultModelPath() ?? '', path)
  const file = openSync(path, 'r+')
  const head = Buffer.alloc(1 << 20)
  readSync(file, head, 0, head.length, 0)
  const key = head.indexOf('tokenizer.ggml.pre')
  if (key < 0) throw new Error('the key is not where it was')
  writeSync(file, 'x', key)
  closeSync(file)
  return path
}

modelTest('a model whose file names no pre-tokenizer is read as its vocabulary says, and the start tells it', async (t) => {
  const server = await TestServer.start({ args: ['--model', modelWithoutPre(), ...SIZES] })
  t.regex(server.output, /no tokenizer\.ggml\.pre; its vocabulary is SmolLM's/)
  const own = await TestServer.start({ args: SIZES })
  const tokens = async (of: TestServer) => json(of, '/tokenize', { prompt: 'Room 1234 costs 56.70 in 2026.' })
  t.deepEqual(await tokens(server), await tokens(own))
  t.is(await server.stop(), 0)
  t.is(await own.stop(), 0)
})
