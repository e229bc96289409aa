// Constrained answers through the service on the simulated engine: what they say, and rows whose mask comes late.

import test from 'ava'
import type { SequenceSpec } from '../../ts/engine/types.js'
import type { ApiError } from '../../ts/protocol/errors.js'
import type { Constraint } from '../../ts/service/types.js'
import { greedy } from '../support/sampling.js'
import { ask, chat, simulatedService, type Answer, type SimulatedService } from '../support/simulated-service.js'

/** Longer than a block, so that answers fill some. */
const CHOICES = ['first', 'second', 'third'].map(word => `${word} and then on the other hand `.repeat(6))
const choice: Constraint = { kind: 'choice', choices: CHOICES }

/** Late the first `times` times that a token is to be sampled, for about every `often`th token. */
function lateness(often: number, times: number): { isLate: (spec: SequenceSpec, index: number) => boolean; count: () => number } {
  const asked = new Map<string, number>()
  let count = 0
  return {
    count: () => count,
    isLate: ({ sequence }, index) => {
      const key = `${sequence} ${index}`
      const before = asked.get(key) ?? 0
      asked.set(key, before + 1)
      const isLate = (index * 7 + sequence) % often === 0 && before < times
      count += isLate ? 1 : 0
      return isLate
    },
  }
}

/** Answers to the same requests, constrained ones and others, all at once. */
async function answers({ service }: SimulatedService, truncation: 'auto' | 'disabled' = 'disabled'): Promise<Answer[]> {
  const requests = Array.from({ length: 8 }, (_, i) =>
    chat([{ role: 'user', content: `question ${i}: ${'word '.repeat(5 + 11 * i)}` }], {
      sampling: { ...greedy, temperature: 1, seed: BigInt(i) },
      maxTokens: 180,
      truncation,
      ...(i % 2 === 0 ? { constraint: choice } : { ignoreEos: true }),
    }),
  )
  return Promise.all(requests.map(request => ask(service, request)))
}

test('an answer to a choice is one of the choices, and ends with it', async t => {
  const served = simulatedService()
  const said = new Set<string>()
  for (let seed = 0n; seed < 40n; seed++) {
    const sampling = { ...greedy, temperature: 1, seed }
    const constraint: Constraint = { kind: 'choice', choices: ['yes', 'no', 'no way'] }
    const { text, finish } = await ask(served.service, chat([{ role: 'user', content: 'well?' }], { sampling, constraint }))
    t.is(finish, 'stop')
    said.add(text)
  }
  t.deepEqual([...said].sort(), ['no', 'no way', 'yes'])
  await served.close()
})

test('an answer whose end token is banned ends when its choice is complete', async t => {
  const served = simulatedService()
  const request = chat([{ role: 'user', content: 'well?' }], { ignoreEos: true, constraint: { kind: 'choice', choices: ['yes'] } })
  const { text, finish } = await ask(served.service, request)
  t.deepEqual([text, finish], ['yes', 'none_allowed'])
  await served.close()
})

for (const [name, engineOptions, serviceOptions, truncation] of [
  ['with room for all', {}, {}, 'disabled'],
  ['without a plan ahead', {}, { overlap: false }, 'disabled'],
  ['with preemptions', { slots: { hbm: 22, dram: 128, ssd: 512 } }, {}, 'disabled'],
  ['across edges of the view', { slots: { hbm: 40, dram: 128, ssd: 512 } }, { contextWindow: 256, truncationRatio: 0.25 }, 'auto'],
  ['in steps of few rows', { maxBatchTokens: 16 }, {}, 'disabled'],
] as const) {
  for (const [often, times] of [[1, 1], [3, 2], [5, 7]] as const) {
    test(`rows that are late (one in ${often}, ${times} times) change no answer, ${name}`, async t => {
      const failures: unknown[] = []
      const punctual = simulatedService(engineOptions, serviceOptions, failures)
      const expected = await answers(punctual, truncation)
      const late = lateness(often, times)
      const served = simulatedService({ ...engineOptions, faults: { isLate: late.isLate } }, serviceOptions, failures)
      const given = await answers(served, truncation)
      t.deepEqual(given.map(({ text, tokens, finish }) => ({ text, tokens, finish })), expected.map(({ text, tokens, finish }) => ({ text, tokens, finish })))
      given.forEach(({ text }, i) => i % 2 === 0 && t.true(CHOICES.includes(text)))
      t.true(late.count() > 20, `${late.count()} rows were late`)
      t.true(served.engine.stats().lateRows >= late.count())
      t.is(served.service.counters().preemptions > 0, name === 'with preemptions')
      t.deepEqual(failures, [])
      await punctual.close()
      await served.close()
    })
  }
}

test('a block that a late row fills is named once, and found again by the next turn', async t => {
  const late = lateness(1, 2)
  const served = simulatedService({ faults: { isLate: late.isLate } })
  const messages = [{ role: 'user', content: 'well? '.repeat(20) }]
  const first = await ask(served.service, chat(messages, { constraint: choice, maxTokens: 300 }))
  const again = await ask(served.service, chat([...messages, { role: 'assistant', content: first.text }, { role: 'user', content: 'and?' }]))
  const { hbm, dram, ssd } = again.usage.reusedTokens
  t.true(hbm + dram + ssd >= first.usage.promptTokens + first.tokens.length - 2)
  t.true(served.service.counters().savedBlocks >= 2)
  await served.close()
})

test('a constraint that the engine cannot hold an answer to is refused with the field that asks for it', async t => {
  const served = simulatedService()
  const refuse = async (constraint: Constraint, constraintField?: string) => {
    const request = chat([{ role: 'user', content: 'well?' }], { constraint, ...(constraintField === undefined ? {} : { constraintField }) })
    const error = await t.throwsAsync<ApiError>(served.service.start(request))
    t.is(error.code, 'invalid_value')
    t.true(error.message.startsWith(`${error.param}: The simulated engine`))
    return error.param
  }
  t.is(await refuse({ kind: 'json_schema', schema: {} }), 'response_format')
  t.is(await refuse({ kind: 'regex', pattern: 'a' }), 'structured_outputs.regex')
  t.is(await refuse({ kind: 'grammar', grammar: 'root ::= "a"' }, 'grammar'), 'grammar')
  t.is(served.service.counters().queued, 0)
  await served.close()
})
