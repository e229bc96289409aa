// `prompt_cache_retention`, from the API to the scheduler; what placement makes of it is tested with the policies.

import test from 'ava'
import { ask, chat, simulatedService } from '../support/simulated-service.js'
import { openTestApi } from './support/api.js'

const HELLO = [{ role: 'user', content: 'hello' }]

test('the hint reaches the scheduler under both spellings of none, and as a day', async t => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  for (const prompt_cache_retention of ['24h', 'in_memory', 'in-memory', null, undefined]) {
    t.is((await api.post('/v1/chat/completions', { messages: HELLO, prompt_cache_retention })).status, 200)
  }
  t.deepEqual(api.service.turns.map(({ request }) => request.retention), ['day', 'none', 'none', 'none', 'none'])
})

test('it is a wish: what is expected back goes when nothing else can', async t => {
  const { service, close } = simulatedService({ slots: { hbm: 8, dram: 0, ssd: 0 } })
  for (const topic of ['a', 'b', 'c', 'd']) {
    const { finish } = await ask(service, chat([{ role: 'system', content: topic.repeat(300) }], { maxTokens: 8, ignoreEos: true, retention: 'day' }))
    t.is(finish, 'length')
  }
  await close()
})
