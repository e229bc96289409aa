// Least length, bad words and stop strings that stay: from the fields of a request to the answer, its stream and its record.

import test from 'ava'
import { scripted } from '../../ts/engine/simulated/scripted.js'
import { badWordTokens } from '../../ts/service/bad-words.js'
import type { TurnMessage } from '../../ts/service/types.js'
import { MAX_BAD_WORD_LENGTH, MAX_BAD_WORDS } from '../../ts/surfaces/openai/schemas/generation.js'
import { ask, chat, reusedTokens, simulatedService } from '../support/simulated-service.js'
import { errorOf, openTestApi } from './support/api.js'
import { openSimulatedApi } from './support/simulated-api.js'

const CHAT = '/v1/chat/completions'
const HELLO = [{ role: 'user', content: 'Hi' }]
const user = (content: string): TurnMessage => ({ role: 'user', content })

test('the fields and their other names ask for the same', async t => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const asked = async (body: object) => {
    const response = await api.post(CHAT, { messages: HELLO, max_tokens: 9, ...body })
    t.is(response.status, 200, await response.text())
    const { minTokens, badWords, includeStop } = api.service.lastRequest
    return { minTokens, badWords, includeStop }
  }
  const nothing = { minTokens: undefined, badWords: undefined, includeStop: undefined }
  t.deepEqual(await asked({}), nothing)
  t.deepEqual(await asked({ min_tokens: 0, bad_words: [], include_stop_str_in_output: false, no_stop_trim: false }), nothing)
  t.deepEqual(await asked({ min_tokens: 9 }), { ...nothing, minTokens: 9 })
  t.deepEqual(await asked({ min_new_tokens: 3 }), { ...nothing, minTokens: 3 })
  t.deepEqual(await asked({ min_tokens: 0, min_new_tokens: 3 }), nothing)
  t.deepEqual(await asked({ bad_words: ['no', ' never'] }), { ...nothing, badWords: ['no', ' never'] })
  t.deepEqual(await asked({ include_stop_str_in_output: true }), { ...nothing, includeStop: true })
  t.deepEqual(await asked({ no_stop_trim: true }), { ...nothing, includeStop: true })
  t.deepEqual(await asked({ include_stop_str_in_output: false, no_stop_trim: true }), nothing)
})

test('values beyond a limit are refused with the field and the limit', async t => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const cases: ReadonlyArray<readonly [param: string, limit: number, body: object]> = [
    ['min_tokens', 9, { min_tokens: 10, max_tokens: 9 }],
    ['min_new_tokens', 9, { min_new_tokens: 10, max_tokens: 9 }],
    ['bad_words', MAX_BAD_WORDS, { bad_words: Array.from({ length: MAX_BAD_WORDS + 1 }, String) }],
    ['bad_words.0', MAX_BAD_WORD_LENGTH, { bad_words: ['x'.repeat(MAX_BAD_WORD_LENGTH + 1)] }],
  ]
  for (const [param, limit, body] of cases) {
    const response = await api.post(CHAT, { messages: HELLO, ...body })
    t.true((await response.clone().text()).includes(String(limit)), param)
    t.deepEqual(await errorOf(response), { status: 400, code: 'invalid_value', param })
  }
  t.deepEqual(await errorOf(await api.post(CHAT, { messages: HELLO, min_tokens: -1 })), { status: 400, code: 'invalid_value', param: 'min_tokens' })
  // Completions have a limit where the request names none.
  t.is((await errorOf(await api.post('/v1/completions', { prompt: 'x', min_tokens: 17 }))).param, 'min_tokens')
  t.is((await api.post('/v1/completions', { prompt: 'x', min_tokens: 16 })).status, 200)
})

test('an answer goes on to its least length, whatever would have ended it', async t => {
  const served = simulatedService({ recorded: scripted(() => 'No. Stop.') })
  const rules = { stop: ['Stop'], maxTokens: 40 }
  t.is((await ask(served.service, chat([user('Hi')], rules))).text, 'No. ')
  const { text, usage } = await ask(served.service, chat([user('Hi')], { ...rules, minTokens: 30 }))
  t.true(text.startsWith('No. Stop.'))
  t.true(usage.completionTokens >= 30)
  await served.close()
})

test('a constraint that leaves only its end goes before the least length', async t => {
  const served = simulatedService()
  const constraint = { kind: 'choice', choices: ['yes', 'no'] } as const
  const { text, finish } = await ask(served.service, chat([user('Hi')], { constraint, minTokens: 20 }))
  t.true(['yes', 'no'].includes(text), text)
  t.is(finish, 'none_allowed')
  await served.close()
})

test('where bad words leave a constraint no token the answer ends, and other words are chosen where some are left', async t => {
  const served = simulatedService()
  const of = (badWords: readonly string[]) => ask(served.service, chat([user('Hi')], { constraint: { kind: 'choice', choices: ['yes', 'no'] }, badWords }))
  t.is((await of(['yes'])).text, 'no')
  t.is((await of(['n'])).text, 'yes')
  const none = await of(['y', 'n'])
  t.deepEqual([none.text, none.finish], ['', 'none_allowed'])
  await served.close()
})

test('a bad word is banned as it begins a text and as it stands behind a space', async t => {
  const { engine, close } = simulatedService()
  const ids = async (word: string): Promise<number[]> => [...(await engine.text.tokenize(word, false))]
  t.deepEqual(await badWordTokens(engine.text, ['cat', ' cat', 'thin']), [await ids('cat'), await ids(' cat'), await ids('thin'), await ids(' thin')])
  t.deepEqual(await badWordTokens(engine.text, ['\n']), [await ids('\n')])
  t.deepEqual(await badWordTokens(engine.text, []), [])
  await close()
})

test('bad words do not come, over the API', async t => {
  const api = await openSimulatedApi(t)
  const answer = async (body: object): Promise<string> => {
    const response = await api.post(CHAT, { messages: HELLO, max_tokens: 60, temperature: 0, ignore_eos: true, ...body })
    return ((await response.json()) as { choices: [{ message: { content: string } }] }).choices[0].message.content
  }
  const free = await answer({})
  const vowelless = await answer({ bad_words: ['a', 'e', 'i', 'o', 'u', 'th', 'he', 'in', 'er', 'an', 're', 'on', 'at', 'us', 'e ', ' t'] })
  t.regex(free, /[aeiou]/)
  t.notRegex(vowelless, /[aeiou]/)
})

test('an included stop string comes whole, in pieces of a stream too, and a turn that repeats it reuses through it', async t => {
  const api = await openSimulatedApi(t, {}, undefined, { recorded: scripted(({ tokens }) => (tokens.length < 200 ? 'One. END of it' : undefined)) })
  const messages = [{ role: 'user', content: 'Say it.' }]
  const asked = { messages, stop: ['END'], include_stop_str_in_output: true, max_tokens: 40 }
  const body = (await (await api.post(CHAT, asked)).json()) as {
    choices: [{ message: { content: string }; finish_reason: string; stop_reason: string }]
    usage: { prompt_tokens: number; completion_tokens: number }
  }
  const [{ message, finish_reason: finish, stop_reason: stop }] = body.choices
  t.deepEqual([message.content, finish, stop], ['One. END', 'stop', 'END'])
  const stream = await (await api.post(CHAT, { ...asked, stream: true })).text()
  const pieces = [...stream.matchAll(/^data: (\{.*)$/gm)].map(([, data]) => (JSON.parse(data as string) as { choices: [{ delta: { content?: string } }] }).choices[0].delta.content ?? '')
  t.is(pieces.join(''), 'One. END')
  t.false((await (await api.post(CHAT, { ...asked, include_stop_str_in_output: false })).text()).includes('One. END'))
  const next = { messages: [...messages, { role: 'assistant', content: message.content }, { role: 'user', content: 'x'.repeat(200) }], max_tokens: 1 }
  const { usage } = (await (await api.post(CHAT, next)).json()) as { usage: { prompt_tokens_details: { cached_tokens: number } } }
  // The KV of the last token is the one that is not there.
  t.is(usage.prompt_tokens_details.cached_tokens, body.usage.prompt_tokens + body.usage.completion_tokens - 1)
})

test('the record of an answer covers an included stop string', async t => {
  const served = simulatedService({ recorded: scripted(({ tokens }) => (tokens.length < 120 ? 'the end' : undefined)) })
  const messages = [user('Hi')]
  const first = await ask(served.service, chat(messages, { stop: ['nd'], includeStop: true }))
  t.is(first.text, 'the end')
  const next = await ask(served.service, chat([...messages, { role: 'assistant', content: first.text }, user('x'.repeat(100))]))
  t.is(reusedTokens(next.usage), first.usage.promptTokens + first.usage.completionTokens - 1)
  t.is(next.usage.conversation, first.usage.conversation)
  await served.close()
})
