// The defaults and the chat template in a model's own files, from there to the answer of the API.

import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createNativeEngine } from '../../ts/engine/native/index.js'
import type { Engine } from '../../ts/engine/types.js'
import { createInferenceService } from '../../ts/service/service.js'
import { samplingParams } from '../../ts/surfaces/turn-fields.js'
import { KERNELS } from '../support/device.js'
import { ROOT, temporaryFolder } from '../support/paths.js'
import { openApiOver, type OpenedApi } from '../unit/support/api.js'

type Fields = Record<string, unknown>

/** A copy of the small model, with other fields in its files. */
function modelWith(changes: Readonly<Record<string, Fields>>): string {
  const folder = join(temporaryFolder(), 'model')
  cpSync(join(ROOT, 'test/fixtures/models/llama/hf'), folder, { recursive: true })
  for (const [file, fields] of Object.entries(changes)) {
    const path = join(folder, file)
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as Fields), ...fields }))
  }
  return folder
}

async function engineOf(t: ExecutionContext, modelPath: string): Promise<Engine> {
  const tiers = { hbmBytes: 2 ** 21, dramBytes: 0, ssdBytes: 0 }
  const engine = await createNativeEngine({ modelPath, device: 'cpu', kernelCacheDir: KERNELS, threads: 1, maxBatchTokens: 64, kvDtype: 'bf16', ...tiers })
  t.teardown(() => engine.close())
  return engine
}

async function apiOf(t: ExecutionContext, chatTemplate: string, options: Parameters<typeof openApiOver>[2] = {}): Promise<OpenedApi> {
  const engine = await engineOf(t, modelWith({ 'tokenizer_config.json': { chat_template: chatTemplate } }))
  const service = createInferenceService(engine, { noReuse: true })
  const api = await openApiOver(service, engine, options)
  t.teardown(async () => {
    await api.close()
    await service.close(0)
  })
  return api
}

const HELLO = [{ role: 'user', content: 'Hi' }]

async function chatError(api: OpenedApi, messages: readonly object[], more: object = {}): Promise<{ status: number; param: string; message: string }> {
  const response = await api.post('/v1/chat/completions', { messages, max_tokens: 1, ...more })
  const { error } = (await response.json()) as { error: { param: string; message: string } }
  return { status: response.status, param: error.param, message: error.message }
}

test("a model's sampling defaults reach the sampler, and what a request says goes before", async (t) => {
  const given = { temperature: 0.5, top_p: 0.8, top_k: -1, min_p: 0.05, repetition_penalty: 1.25 }
  const { info } = await engineOf(t, modelWith({ 'generation_config.json': given }))
  const { minP = 0, repetitionPenalty = 0, temperature = 0, ...rest } = info.defaults
  t.deepEqual([Math.fround(0.05), 1.25, 0.5], [minP, repetitionPenalty, temperature])
  t.deepEqual(rest, { topP: Math.fround(0.8), topK: 0 })
  t.like(samplingParams({}, info), { minP: Math.fround(0.05), repetitionPenalty: 1.25, temperature: 0.5, topP: Math.fround(0.8), topK: 0 })
  t.like(samplingParams({ minP: 0, repetitionPenalty: 1 }, info), { minP: 0, repetitionPenalty: 1, temperature: 0.5 })
})

test('a default that no request may have counts as left out', async (t) => {
  const given = { temperature: -1, top_p: 0, min_p: 7, repetition_penalty: 0 }
  const { info } = await engineOf(t, modelWith({ 'generation_config.json': given }))
  t.deepEqual(info.defaults, {})
})

test("a conversation that the model's template refuses is refused with the template's own sentence", async (t) => {
  const api = await apiOf(
    t,
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" +
      "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}" +
      "{{ m['content'] }}{% endfor %}",
  )
  t.is((await api.post('/v1/chat/completions', { messages: HELLO, max_tokens: 1 })).status, 200)
  for (const stream of [false, true]) {
    const system = await chatError(api, [{ role: 'system', content: 'Be brief.' }, ...HELLO], { stream })
    t.like(system, { status: 400, param: 'messages' })
    t.true(system.message.endsWith(': System role not supported'), system.message)
    t.true((await chatError(api, [...HELLO, ...HELLO], { stream })).message.endsWith(': Conversation roles must alternate'))
  }
  const tokenized = await api.post('/tokenize', { messages: [...HELLO, ...HELLO] })
  t.is(tokenized.status, 400)
  t.regex(await tokenized.text(), /roles must alternate/)
  t.deepEqual(api.log.filter((line) => /"level":"(warn|error|fatal)"/.test(line)), [])
})

test("a conversation on which the template fails is the client's error", async (t) => {
  const api = await apiOf(t, "{{ messages[1]['content'] + 1 }}")
  t.like(await chatError(api, HELLO), { status: 400, param: 'messages' })
})

test('a template that does not parse is named in what the engine says of itself, and in the error', async (t) => {
  const api = await apiOf(t, '{% for m in messages %}{{ m }}')
  const { status, message } = await chatError(api, HELLO)
  t.is(status, 400)
  t.regex(message, /^messages: The model's chat template cannot be used: .*(for|end).* Use \/v1\/completions\.$/)
  t.is((await api.post('/v1/completions', { prompt: 'x', max_tokens: 1 })).status, 200)
  const engine = await engineOf(t, modelWith({ 'tokenizer_config.json': { chat_template: '{% if %}' } }))
  t.false(engine.info.hasChatTemplate)
  t.regex(engine.info.templateError ?? '', /template/)
  t.is((await engineOf(t, modelWith({}))).info.templateError, undefined)
})

const PLAIN = "{% for m in messages %}{{ m['content'] }}{% endfor %}"

test('a template that comes with a request is bounded as the model’s own, and named where it is at fault', async (t) => {
  const api = await apiOf(t, PLAIN, { trustRequestTemplates: true })
  const faults = ['{% if %}', "{{ messages[7]['content'] + 1 }}", "{{ raise_exception('never') }}", '{% for a in range(90000) %}{% for b in range(90000) %}x{% endfor %}{% endfor %}']
  for (const chat_template of faults) {
    t.like(await chatError(api, HELLO, { chat_template }), { status: 400, param: 'chat_template' }, chat_template)
    const tokenized = await api.post('/tokenize', { messages: HELLO, chat_template })
    t.like(await tokenized.json(), { error: { param: 'chat_template' } }, chat_template)
  }
  const told = async (body: object) => ((await (await api.post('/tokenize', { messages: HELLO, ...body })).json()) as { tokens: number[] }).tokens
  const detokenized = await api.post('/detokenize', { tokens: await told({ chat_template: "Q: {{ messages[0]['content'] }}" }) })
  t.deepEqual(await detokenized.json(), { prompt: 'Q: Hi' })
  t.is((await api.post('/v1/chat/completions', { messages: HELLO, max_tokens: 1, chat_template: PLAIN })).status, 200)
})

test('a template that does not write the last message as it is cannot leave it open', async (t) => {
  const api = await apiOf(t, "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}")
  const begun = [...HELLO, { role: 'assistant', content: 'Once' }]
  const fault = await chatError(api, begun, { add_generation_prompt: false, continue_final_message: true })
  t.like(fault, { status: 400, param: 'messages' })
  t.regex(fault.message, /cannot continue it/)
})

test('what the template refuses is told of the field that has the messages', async (t) => {
  const api = await apiOf(t, "{{ raise_exception('no messages please') }}")
  const response = await api.post('/v1/responses', { input: 'Hi', max_output_tokens: 16 })
  const { error } = (await response.json()) as { error: { param: string; message: string } }
  t.deepEqual([response.status, error.param], [400, 'input'])
  t.regex(error.message, /^input: .*no messages please$/)
})
