// Prompts that are echoed and scored: over the API, and what scoring does to reuse.

import test from 'ava'
import { MAX_PROMPT_LOGPROBS } from '../../ts/protocol/limits.js'
import { ask, chat, readTurn, reusedTokens, simulatedService } from '../support/simulated-service.js'
import { errorOf, openTestApi } from './support/api.js'
import { openSimulatedApi } from './support/simulated-api.js'

const COMPLETIONS = '/v1/completions'
const CHAT = '/v1/chat/completions'
const HELLO = [{ role: 'user', content: 'Hi' }]

interface Rows {
  readonly tokens: string[]
  readonly token_logprobs: Array<number | null>
  readonly top_logprobs: Array<Record<string, number> | null>
  readonly text_offset: number[]
}
interface Choice {
  readonly text: string
  readonly logprobs: Rows | null
  readonly finish_reason: string | null
  readonly prompt_logprobs?: Array<Record<string, { logprob: number; rank: number; decoded_token: string }> | null>
}
interface Body {
  readonly choices: Choice[]
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number; readonly attentionstore: { readonly miss: Record<string, number>; readonly computed_tokens: number } }
}

type Api = Awaited<ReturnType<typeof openSimulatedApi>>

async function complete(api: Api, body: object): Promise<Body> {
  const response = await api.post(COMPLETIONS, { temperature: 0, ignore_eos: true, max_tokens: 4, ...body })
  return (await response.json()) as Body
}

async function streamed(api: Api, body: object): Promise<{ chunks: Choice[]; text: string }> {
  const text = await (await api.post(COMPLETIONS, { temperature: 0, ignore_eos: true, max_tokens: 4, ...body, stream: true })).text()
  const chunks = [...text.matchAll(/^data: (\{.*)$/gm)].flatMap(([, data]) => (JSON.parse(data as string) as { choices: Choice[] }).choices)
  return { chunks, text: chunks.map(choice => choice.text).join('') }
}

test('an echoed prompt stands before its answer, whole and in a stream', async t => {
  const api = await openSimulatedApi(t)
  const plain = await complete(api, { prompt: 'the étude' })
  const [choice] = (await complete(api, { prompt: 'the étude', echo: true })).choices as [Choice]
  t.is(choice.text, `the étude${plain.choices[0]?.text}`)
  t.is(choice.logprobs, null)
  const stream = await streamed(api, { prompt: 'the étude', echo: true })
  t.is(stream.chunks[0]?.text, 'the étude')
  t.is(stream.text, choice.text)
  const both = await complete(api, { prompt: ['one', 'two'], echo: true })
  t.deepEqual(both.choices.map(({ text }) => text.slice(0, 3)), ['one', 'two'])
  const ids = await complete(api, { prompt: [111, 110, 101], echo: true })
  t.true(ids.choices[0]?.text.startsWith('one'))
})

test('echo without log probabilities reuses what is there', async t => {
  const api = await openSimulatedApi(t)
  const prompt = 'a'.repeat(200)
  await complete(api, { prompt })
  const { usage } = await complete(api, { prompt, echo: true })
  t.is(usage.attentionstore.computed_tokens, 1)
})

test('beside log probabilities the prompt’s tokens stand before those of the answer, the first with null', async t => {
  const api = await openSimulatedApi(t)
  const body = await complete(api, { prompt: 'so the é', echo: true, logprobs: 2 })
  const [{ text, logprobs }] = body.choices as [Choice]
  const rows = logprobs as Rows
  // The beginning token is no part of the text.
  const [beginning, ...named] = rows.tokens
  t.deepEqual([beginning, named.join('')], ['<|endoftext|>', text])
  t.is(rows.tokens.length, body.usage.prompt_tokens + 4)
  for (const list of [rows.token_logprobs, rows.top_logprobs, rows.text_offset]) t.is(list.length, rows.tokens.length)
  t.deepEqual([rows.token_logprobs[0], rows.top_logprobs[0]], [null, null])
  t.true(rows.token_logprobs.slice(1).every(logprob => typeof logprob === 'number'))
  t.true(rows.top_logprobs.slice(1).every(top => Object.keys(top ?? {}).length > 0))
  t.deepEqual(rows.text_offset.slice(0, 2), [0, 0])
  named.forEach((token, i) => {
    const offset = rows.text_offset[i + 1] as number
    t.is(text.slice(offset, offset + token.length), token)
  })
  const { chunks } = await streamed(api, { prompt: 'so the é', echo: true, logprobs: 2 })
  t.deepEqual(chunks.flatMap(chunk => chunk.logprobs?.tokens ?? []), rows.tokens)
  t.deepEqual(chunks.flatMap(chunk => chunk.logprobs?.text_offset ?? []), rows.text_offset)
})

test('with no tokens asked for the prompt stands alone', async t => {
  const api = await openSimulatedApi(t)
  const { choices, usage } = await complete(api, { prompt: 'the prompt', echo: true, logprobs: 0, max_tokens: 0 })
  const [choice] = choices as [Choice]
  t.deepEqual([choice.text, choice.finish_reason, usage.completion_tokens], ['the prompt', 'length', 0])
  t.is(choice.logprobs?.tokens.slice(1).join(''), 'the prompt')
  t.is(choice.logprobs?.tokens.length, usage.prompt_tokens)
  t.is((await streamed(api, { prompt: 'the prompt', echo: true, max_tokens: 0 })).text, 'the prompt')
  t.deepEqual(await errorOf(await api.post(COMPLETIONS, { prompt: 'x', max_tokens: 0 })), { status: 400, code: 'invalid_value', param: 'max_tokens' })
})

test('prompt_logprobs are null and then maps by token id, on a completion’s choices and beside a chat’s', async t => {
  const api = await openSimulatedApi(t)
  const { choices, usage } = await complete(api, { prompt: [111, 110, 101], prompt_logprobs: 2 })
  const [{ prompt_logprobs: scores, logprobs }] = choices as [Choice]
  t.is(logprobs, null)
  t.is(scores?.length, usage.prompt_tokens)
  t.is(scores?.[0], null)
  const [, second, third] = scores ?? []
  t.deepEqual([second?.['110']?.decoded_token, third?.['101']?.decoded_token], ['n', 'e'])
  for (const map of [second, third]) {
    const ranks = Object.values(map ?? {}).map(({ rank }) => rank)
    t.deepEqual(ranks.toSorted(), [1, 2])
  }
  const response = await api.post(CHAT, { messages: HELLO, max_tokens: 2, prompt_logprobs: 0 })
  const body = (await response.json()) as Body & { prompt_logprobs: NonNullable<Choice['prompt_logprobs']> }
  t.is(body.prompt_logprobs.length, body.usage.prompt_tokens)
  t.true(body.prompt_logprobs.slice(1).every(map => Object.keys(map ?? {}).length === 1))
  const without = (await (await api.post(CHAT, { messages: HELLO, max_tokens: 2 })).json()) as object
  t.false('prompt_logprobs' in without)
})

test('fields that do not go together are refused by name', async t => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const cases: ReadonlyArray<readonly [param: string, path: string, body: object]> = [
    ['prompt_logprobs', CHAT, { messages: HELLO, prompt_logprobs: 1, stream: true }],
    ['prompt_logprobs', CHAT, { messages: HELLO, prompt_logprobs: 1, truncation: 'auto' }],
    ['prompt_logprobs', CHAT, { messages: HELLO, prompt_logprobs: 21 }],
    ['prompt_logprobs', CHAT, { messages: HELLO, prompt_logprobs: -1 }],
    ['echo', COMPLETIONS, { prompt: 'x', echo: true, logprobs: 1, truncation: 'auto' }],
  ]
  for (const [param, path, body] of cases) t.deepEqual(await errorOf(await api.post(path, body)), { status: 400, code: 'invalid_value', param })
})

test('a prompt with more log probabilities than the limit is refused with both numbers', async t => {
  const served = simulatedService({ modelContext: 12_000, slots: { hbm: 256, dram: 128, ssd: 512 } }, { maxContext: 12_000 })
  const tokens = new Uint32Array(Math.ceil(MAX_PROMPT_LOGPROBS / 6) + 1).fill(97)
  const asked = { ...chat([]), prompt: { kind: 'tokens', tokens } as const, promptLogprobs: { top: 5, field: 'prompt_logprobs' } }
  const error = await t.throwsAsync<Error & { code: string; param: string }>(served.service.start(asked))
  t.deepEqual([error.code, error.param], ['invalid_value', 'prompt_logprobs'])
  t.true(error.message.includes(`${tokens.length * 6}`) && error.message.includes(`${MAX_PROMPT_LOGPROBS}`))
  await served.close()
})

test('prompts that have more log probabilities together than the limit are refused, and none goes on', async t => {
  const api = await openSimulatedApi(t)
  const prompt = Array.from({ length: 7 }, () => Array.from({ length: 500 }, () => 97))
  const response = await api.post(COMPLETIONS, { prompt, prompt_logprobs: 20, max_tokens: 500, ignore_eos: true })
  t.deepEqual(await errorOf(response), { status: 400, code: 'invalid_value', param: 'prompt_logprobs' })
  t.is((await api.post(COMPLETIONS, { prompt: prompt.slice(1), prompt_logprobs: 20, max_tokens: 1 })).status, 200)
  const { queued, preparing, running } = api.service.counters()
  t.deepEqual([queued, preparing, running], [0, 0, 0])
})

const ids = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => 97 + ((i * 7) % 20))
const tokensOf = (tokens: Uint32Array) => ({ ...chat([]), prompt: { kind: 'tokens', tokens } as const, maxTokens: 4, ignoreEos: true })
const scored = (tokens: Uint32Array) => ({ ...tokensOf(tokens), promptLogprobs: { top: 1, field: 'prompt_logprobs' } })

test('a prompt that is scored reuses nothing, says why, and leaves its blocks to others', async t => {
  const served = simulatedService()
  const tokens = ids(300)
  await ask(served.service, tokensOf(tokens))
  const turn = await served.service.start(scored(tokens))
  const answer = await readTurn(turn)
  t.is(turn.scoredPrompt?.scores.length, 299)
  t.deepEqual(turn.scoredPrompt?.tokens, tokens)
  t.deepEqual(answer?.usage.missedTokens, { neverSeen: 0, reasoningDropped: 0, promptScored: 300, evicted: 0, damaged: 0, outsideView: 0, unknown: 0 })
  t.deepEqual([answer?.usage.computedTokens, answer && reusedTokens(answer.usage)], [300, 0])
  t.is(served.service.counters().missedTokens.promptScored, 300)
  const fresh = ids(260).reverse()
  await ask(served.service, scored(fresh))
  t.is(reusedTokens((await ask(served.service, tokensOf(fresh))).usage), 259)
  await served.close()
})

test('a prompt that is scored follows no other in flight, and none follows it', async t => {
  const served = simulatedService()
  const tokens = ids(400)
  const together = async (requests: ReadonlyArray<ReturnType<typeof tokensOf>>) => (await Promise.all(requests.map(request => ask(served.service, request)))).map(({ usage }) => usage.computedTokens)
  t.deepEqual(await together([scored(tokens), scored(tokens)]), [400, 400])
  const others = ids(400).map(id => id + 1)
  t.deepEqual(await together([tokensOf(others), scored(others)]), [400, 400])
  await served.close()
})

test('a scored prompt that is preempted is scored once, to its last token', async t => {
  const served = simulatedService({ slots: { hbm: 12, dram: 64, ssd: 0 } })
  const turns = await Promise.all([0, 1, 2].map(i => served.service.start({ ...scored(ids(200).map(id => id + i)), maxTokens: 200 })))
  await Promise.all(turns.map(readTurn))
  t.true(served.service.counters().preemptions > 0)
  for (const turn of turns) t.is(turn.scoredPrompt?.scores.length, 199)
  await served.close()
})
