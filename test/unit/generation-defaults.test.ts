// The sampling that requests and chats get where nobody asks for one.

import test from 'ava'
import { DEFAULT_MODEL } from '../../ts/config/default-model.js'
import { servableName, servedName } from '../../ts/config/names.js'
import { generationDefaults, samplingValues, type SamplingDefaults } from '../../ts/surfaces/generation-defaults.js'
import { openTestApi } from './support/api.js'

const sources = (defaults: SamplingDefaults) => Object.fromEntries(Object.entries(defaults).map(([name, { source }]) => [name, source]))

test('a model that says nothing gets the set for chats in chats, and OpenAI\'s defaults in the API', (t) => {
  const { api, chat, chatMaxTokens } = generationDefaults('model', {}, null, 8192)
  t.deepEqual(samplingValues(api), { temperature: 1, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1 })
  t.true(Object.values(sources(api)).every((source) => source === 'openai'))
  t.deepEqual(samplingValues(chat), { temperature: 0.7, topP: 0.9, topK: 0, minP: 0.05, repetitionPenalty: 1.05 })
  t.true(Object.values(sources(chat)).every((source) => source === 'server'))
  t.deepEqual(chatMaxTokens, { value: 1024, source: 'server' })
})

test('a model with a temperature applies whole: nothing of the set for chats is mixed into it', (t) => {
  const own = { temperature: 0.6, topP: 0.95, topK: 20, minP: 0.01, repetitionPenalty: 1.1 }
  const { api, chat } = generationDefaults('model', own, null, 8192)
  for (const defaults of [api, chat]) {
    t.deepEqual(samplingValues(defaults), own)
    t.true(Object.values(sources(defaults)).every((source) => source === 'model'))
  }
  const part = generationDefaults('model', { temperature: 0.6 }, null, 8192).chat
  t.deepEqual(part.minP, { value: 0, source: 'openai' })
})

test('a model with a penalty alone keeps it in chats and gets the rest of the set', (t) => {
  const { chat } = generationDefaults('model', { repetitionPenalty: 1.2 }, null, 8192)
  t.deepEqual(chat.repetitionPenalty, { value: 1.2, source: 'model' })
  t.deepEqual(chat.temperature, { value: 0.7, source: 'server' })
})

test("the default model has its publisher's sampling in chats, and in the API where the server is told so", (t) => {
  const of = (choice: 'model' | 'openai' | 'chat') => generationDefaults(choice, {}, DEFAULT_MODEL, 8192)
  for (const defaults of [of('model').chat, of('chat').api]) {
    t.deepEqual(defaults.temperature, { value: 0.2, source: 'model' })
    t.deepEqual(defaults.topP, { value: 0.9, source: 'model' })
    t.deepEqual(defaults.repetitionPenalty, { value: 1.15, source: 'server' })
  }
  t.deepEqual(of('model').api.temperature, { value: 1, source: 'openai' })
})

test('an answer of a chat is never bounded beyond the context', (t) => {
  t.is(generationDefaults('model', {}, null, 256).chatMaxTokens.value, 256)
})

for (const [choice, temperature] of [['model', 0.6], ['openai', 1], ['chat', 0.6]] as const) {
  test(`--generation-defaults ${choice} is what requests of every surface get, and what the model's row says`, async (t) => {
    const api = await openTestApi({ generationChoice: choice })
    t.teardown(() => api.close())
    const messages = [{ role: 'user', content: 'Hi' }]
    const sent = async (path: string, body: unknown) => {
      t.is((await api.post(path, body)).status, 200)
      return api.service.lastRequest.sampling.temperature
    }
    t.is(await sent('/v1/chat/completions', { messages }), temperature)
    t.is(await sent('/v1/responses', { input: 'Hi' }), temperature)
    t.is(await sent('/v1/messages', { messages, max_tokens: 4 }), temperature)
    t.is(await sent('/v1/chat/completions', { messages, temperature: 0.3 }), 0.3)
    const row = await (await fetch(`${api.url}/v1/models/fake-model`)).json() as Record<string, unknown>
    t.like(row, { default_sampling: { temperature }, generation_defaults: { api: { temperature: { value: temperature } }, chat: { temperature: { value: 0.6, source: 'model' }, max_tokens: { value: 1024, source: 'server' } } } })
  })
}

test('a name out of metadata is one that may be served: no spaces, no accents', (t) => {
  const names = { 'SmolLM2 135M Instruct': 'SmolLM2-135M-Instruct', 'org/Name v1.5': 'org/Name-v1.5', ' Modèle  (été) ': 'Modele-ete', '模型': 'model', '': 'model', ['a'.repeat(300)]: 'a'.repeat(256) }
  for (const [given, expected] of Object.entries(names)) {
    t.is(servableName(given), expected)
    t.is(servedName(servableName(given), '--served-model-name'), expected)
  }
  t.is(DEFAULT_MODEL.id, 'smollm2-135m-instruct')
})
