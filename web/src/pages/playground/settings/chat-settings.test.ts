import type { ModelRow } from 'attentionstore/protocol'
import test from 'ava'
import { NEW_SETTINGS, readSettings, requestFields } from './chat-settings.js'
import { defaultsOf } from './model-defaults.js'
import { parseTools } from './tools.js'

const sourced = (value: number, source: 'model' | 'server' | 'openai') => ({ value, source })
const NEUTRAL = { temperature: 1, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1, presence_penalty: 0, frequency_penalty: 0 }
const API: ModelRow['generation_defaults']['api'] = {
  temperature: sourced(1, 'openai'),
  top_p: sourced(1, 'openai'),
  top_k: sourced(0, 'openai'),
  min_p: sourced(0, 'openai'),
  repetition_penalty: sourced(1, 'openai'),
  presence_penalty: sourced(0, 'openai'),
  frequency_penalty: sourced(0, 'openai'),
}
const model = (chat: Partial<ModelRow['generation_defaults']['chat']>): ModelRow => ({
  id: 'm',
  object: 'model',
  created: 0,
  owned_by: '',
  max_model_len: 8192,
  default_sampling: NEUTRAL,
  generation_defaults: { api: API, chat: { ...API, max_tokens: sourced(512, 'server'), ...chat } },
})

test('the numbers that a server names for chats are sent, and it says whether they are the model’s', (t) => {
  const own = model({ temperature: sourced(0.2, 'model'), top_p: sourced(0.9, 'model') })
  t.deepEqual(defaultsOf(own), {
    sent: { temperature: 0.2, top_p: 0.9, min_p: 0, top_k: 0, repetition_penalty: 1, max_tokens: 512 },
    isCalm: false,
  })
  t.true(defaultsOf(model({ temperature: sourced(0.7, 'server') })).isCalm)
})

test('before the server has named its numbers only the bound of an answer is sent', (t) => {
  t.deepEqual(defaultsOf(null), { sent: { max_tokens: 1024 }, isCalm: false })
})

test('the user’s numbers go before any default, and what is left open is not sent', (t) => {
  t.deepEqual(requestFields({ ...NEW_SETTINGS, numbers: { temperature: 0, seed: 7 } }, { temperature: 0.7, top_p: 0.9 }), {
    temperature: 0,
    top_p: 0.9,
    seed: 7,
  })
  t.deepEqual(requestFields({ ...NEW_SETTINGS, thinking: false, effort: 'low' }, {}), { enable_thinking: false, reasoning_effort: 'low' })
})

test('tools are sent in the API’s form, whether they were written in it or bare', (t) => {
  const tool = { type: 'function' as const, function: { name: 'f', parameters: { type: 'object' } } }
  for (const text of [JSON.stringify(tool), JSON.stringify([tool.function]), JSON.stringify([tool])]) {
    t.deepEqual(requestFields({ ...NEW_SETTINGS, tools: text }, {}), { tools: [tool] })
  }
})

test('tools that are none stop the question, and say which one and why', (t) => {
  t.throws(() => requestFields({ ...NEW_SETTINGS, tools: '[{' }, {}), { message: /^Tools: not valid JSON/ })
  t.like(parseTools('[{"name": "f"}, {"function": {}}]'), { ok: false, message: 'tool 2 has no function with a name' })
  t.like(parseTools('3'), { ok: false })
})

test('stored settings are read field by field: one that is damaged is that of a new chat', (t) => {
  const settings = { system: 's', numbers: { temperature: 0.3, seed: 1 }, thinking: true, effort: 'high' as const, tools: '[]' }
  t.deepEqual(readSettings(structuredClone(settings)), settings)
  t.deepEqual(readSettings({ ...settings, numbers: { temperature: '0.3', seed: 1, other: 3 }, effort: 'heroic' }), {
    ...settings,
    numbers: { seed: 1 },
    effort: null,
  })
  t.deepEqual(readSettings(null), NEW_SETTINGS)
})
