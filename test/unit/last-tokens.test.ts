// Prompts of which only the last tokens are taken, and the special tokens of raw prompts.

import test from 'ava'
import type { SequenceSpec } from '../../ts/engine/types.js'
import { ApiError } from '../../ts/protocol/errors.js'
import type { TurnRequest } from '../../ts/service/types.js'
import { ask, chat, reusedTokens, simulatedService } from '../support/simulated-service.js'

const CONTEXT = 512
const words = 'one two three four five six seven eight nine ten '

function service() {
  const served = simulatedService({}, { maxContext: CONTEXT })
  const specs: SequenceSpec[] = []
  const addSequence = served.engine.addSequence.bind(served.engine)
  served.engine.addSequence = (spec) => {
    specs.push(spec)
    addSequence(spec)
  }
  return { ...served, specs }
}

const text = (content: string, rest: Partial<TurnRequest> = {}): TurnRequest => chat([], { ...rest, prompt: { kind: 'text', text: content } })

test('the last k tokens of a prompt are taken, of a text and of a chat, and a shorter one stays whole', async (t) => {
  const { service: served, engine, specs, close } = service()
  t.teardown(close)
  const whole = [...(await engine.text.encodePrompt(words))]
  await ask(served, text(words, { lastTokens: 20 }))
  await ask(served, text(words, { lastTokens: 500 }))
  t.deepEqual([...(specs[0]?.tokens ?? [])], whole.slice(-20))
  t.deepEqual([...(specs[1]?.tokens ?? [])], whole)
  const messages = [{ role: 'user', content: words }]
  await ask(served, chat(messages))
  await ask(served, chat(messages, { lastTokens: 30 }))
  t.deepEqual([...(specs[3]?.tokens ?? [])], [...(specs[2]?.tokens ?? [])].slice(-30))
})

test('a prompt beyond the context is served by its end, and -1 leaves room for the answer', async (t) => {
  const { service: served, specs, close } = service()
  t.teardown(close)
  const long = words.repeat(40)
  await t.throwsAsync(ask(served, text(long)), { instanceOf: ApiError, message: /context limit/ })
  await ask(served, text(long, { lastTokens: 'context', maxTokens: 100, ignoreEos: true }))
  await ask(served, text(long, { lastTokens: 'context', maxTokens: null }))
  await ask(served, text(long, { lastTokens: CONTEXT - 1, maxTokens: 1 }))
  t.deepEqual(specs.map(({ tokens }) => tokens.length), [CONTEXT - 100, CONTEXT - 1, CONTEXT - 1])
  t.deepEqual(specs.map(({ maxTokens }) => maxTokens), [100, 1, 1])
})

test('more than the context is refused by name, and the context itself leaves no room for an answer', async (t) => {
  const { service: served, close } = service()
  t.teardown(close)
  const more = await t.throwsAsync<ApiError>(ask(served, text(words, { lastTokens: CONTEXT + 1 })))
  t.like(more, { code: 'invalid_value', param: 'truncate_prompt_tokens' })
  t.regex(more?.message ?? '', /513 tokens are more than the context, which is 512/)
  const all = await t.throwsAsync<ApiError>(ask(served, text(words.repeat(40), { lastTokens: CONTEXT })))
  t.like(all, { code: 'context_length_exceeded', param: 'prompt' })
})

test('a prompt that lost its beginning reuses nothing of the one that has it, and all of one that begins alike', async (t) => {
  const { service: served, close } = service()
  t.teardown(close)
  const long = words.repeat(8)
  const first = await ask(served, text(long))
  const cut = await ask(served, text(long, { lastTokens: 300 }))
  t.is(reusedTokens(cut.usage), 0)
  t.is(cut.usage.promptTokens, 300)
  t.true(first.usage.promptTokens > 300)
  const again = await ask(served, text(long, { lastTokens: 300 }))
  t.true(reusedTokens(again.usage) >= 298)
})

test('a message that is gone on with and lost its own beginning is answered all the same', async (t) => {
  const { service: served, specs, close } = service()
  t.teardown(close)
  const messages = [{ role: 'user', content: 'Hi' }, { role: 'assistant', content: words }]
  const { usage } = await ask(served, chat([], { lastTokens: 10, prompt: { kind: 'chat', messages, ending: 'open' } }))
  t.is(usage.promptTokens, 10)
  t.is(specs[0]?.prefill, 10)
})

test('special tokens of a raw prompt are those that the request asks for', async (t) => {
  const { service: served, engine, specs, close } = service()
  t.teardown(close)
  const content = '<|im_start|>user'
  const plain = [...(await engine.text.tokenize(content, false))]
  const parsed = [...(await engine.text.tokenize(content, false, undefined, true))]
  const [start = 0] = await engine.text.encodePrompt('')
  for (const addSpecialTokens of [undefined, true, false]) {
    for (const parseSpecial of [undefined, false, true]) {
      const specials = { ...(addSpecialTokens === undefined ? {} : { addSpecialTokens }), ...(parseSpecial === undefined ? {} : { parseSpecial }) }
      await ask(served, chat([], { prompt: { kind: 'text', text: content, ...specials } }))
      const expected = [...((addSpecialTokens ?? true) ? [start] : []), ...(parseSpecial ? parsed : plain)]
      t.deepEqual([...(specs.at(-1)?.tokens ?? [])], expected, JSON.stringify(specials))
    }
  }
  t.is(parsed.length, 1 + [...(await engine.text.tokenize('user', false))].length)
})
