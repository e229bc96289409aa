// `prompt_cache_retention`, from the API to the victim.

import test from 'ava'
import type { Retention } from '../../ts/placement/types.js'
import { ask, chat, reusedTokens, simulatedService } from '../support/simulated-service.js'
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

/** Tokens of a conversation that are still there after others filled the only tier. */
async function keptAfterOthers(retention: Retention): Promise<number> {
  const { service, close } = simulatedService({ slots: { hbm: 16, dram: 0, ssd: 0 } })
  const talk = (topic: string) => ask(service, chat([{ role: 'system', content: topic.repeat(40) }], { maxTokens: 8, ignoreEos: true, retention: topic === 'mine ' ? retention : 'none' }))
  await talk('mine ')
  for (const topic of ['one ', 'two ', 'three ', 'four ', 'five ']) await talk(topic)
  const { usage } = await talk('mine ')
  await close()
  return reusedTokens(usage)
}

test('of equals, what is expected back is kept, though others were used later', async t => {
  t.is(await keptAfterOthers('none'), 0)
  t.true((await keptAfterOthers('day')) > 100)
})

test('it is a wish: what is expected back goes when nothing else can', async t => {
  const { service, close } = simulatedService({ slots: { hbm: 8, dram: 0, ssd: 0 } })
  for (const topic of ['a', 'b', 'c', 'd']) {
    const { finish } = await ask(service, chat([{ role: 'system', content: topic.repeat(300) }], { maxTokens: 8, ignoreEos: true, retention: 'day' }))
    t.is(finish, 'length')
  }
  await close()
})
