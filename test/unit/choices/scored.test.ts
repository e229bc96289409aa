// Several answers to a prompt that is scored, echoed or continued.

import test from 'ava'
import { scripted } from '../../../ts/engine/simulated/scripted.js'
import type { SequenceSpec } from '../../../ts/engine/types.js'
import type { TurnMessage, TurnRequest } from '../../../ts/service/types.js'
import { seedOfChoice } from '../../../ts/surfaces/choices.js'
import { askChoices, singles, startChoices } from '../../support/choices.js'
import { greedy } from '../../support/sampling.js'
import { ask, chat, readTurn, reusedTokens, simulatedService } from '../../support/simulated-service.js'
import { errorOf } from '../support/api.js'
import { openSimulatedApi, type SimulatedApi } from '../support/simulated-api.js'

const N = 4
const LENGTH = 300
const question = { top: 2, field: 'prompt_logprobs' }

function scored(rest: Partial<TurnRequest> = {}): TurnRequest {
  const tokens = Uint32Array.from({ length: LENGTH }, (_, i) => 97 + ((i * 7) % 20))
  const sampling = { ...greedy, temperature: 1, seed: 7n }
  return chat([], { prompt: { kind: 'tokens', tokens }, ignoreEos: true, maxTokens: 8, sampling, promptLogprobs: question, ...rest })
}

test('four answers to a prompt that is scored compute it once, share its scores, and are those of single requests', async (t) => {
  const served = simulatedService()
  t.teardown(served.close)
  const turns = await startChoices(served.service, scored(), N)
  const answers = await Promise.all(turns.map(readTurn))
  t.is(served.service.counters().computedTokens, LENGTH + N - 1)
  const [first, ...others] = answers.map((answer) => answer?.usage)
  t.like(first, { computedTokens: LENGTH, missedTokens: { promptScored: LENGTH } })
  for (const usage of others) t.like(usage, { computedTokens: 1, reusedTokens: { hbm: LENGTH - 1 }, missedTokens: { promptScored: 0 } })
  const alone = simulatedService()
  t.teardown(alone.close)
  for (const [choice, request] of singles(scored(), N).entries()) {
    const turn = await alone.service.start(request)
    t.deepEqual(answers[choice]?.tokens, (await readTurn(turn))?.tokens, `choice ${choice}`)
    t.deepEqual(turns[choice]?.scoredPrompt?.scores, turn.scoredPrompt?.scores, `choice ${choice}`)
  }
})

for (const noReuse of [false, true]) {
  test(`no answer tells anything before the scores of its prompt are there${noReuse ? ', also without reuse' : ''}`, async (t) => {
    const served = simulatedService({ maxBatchTokens: 64 }, { noReuse })
    t.teardown(served.close)
    // What the others need of the prompt is there already: they do not wait for the first one to compute it.
    await ask(served.service, { ...scored(), promptLogprobs: undefined })
    const turns = await startChoices(served.service, scored(), N)
    await Promise.all(
      turns.map(async (turn) => {
        for await (const event of turn) t.is(turn.scoredPrompt?.scores.length, LENGTH - 1, event.type)
      }),
    )
  })
}

test('where the answer that scores the prompt is cancelled, the others go on without scores', async (t) => {
  const served = simulatedService({ maxBatchTokens: 64 })
  t.teardown(served.close)
  const [leader, ...others] = await startChoices(served.service, scored(), N)
  leader?.cancel()
  for (const answer of await Promise.all(others.map(readTurn))) t.is(answer?.tokens.length, 8)
  t.deepEqual(others.map(({ scoredPrompt }) => scoredPrompt), [undefined, undefined, undefined])
})

test('a cancelled answer ends while it waits for scores, and the others keep theirs', async (t) => {
  const served = simulatedService({ maxBatchTokens: 64 })
  t.teardown(served.close)
  const turns = await startChoices(served.service, scored(), N)
  const reading = turns.map(readTurn)
  turns[2]?.cancel()
  t.is((await Promise.all(reading)).filter((answer) => answer === null).length, 1)
  t.is(turns[3]?.scoredPrompt?.scores.length, LENGTH - 1)
})

interface Rows {
  readonly tokens: string[]
  readonly token_logprobs: Array<number | null>
  readonly text_offset: number[]
}
interface Choice {
  readonly index: number
  readonly text: string
  readonly logprobs: Rows | null
  readonly finish_reason: string | null
  readonly prompt_logprobs?: unknown[]
}
interface Body {
  readonly choices: Choice[]
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number; readonly attentionstore: { readonly computed_tokens: number; readonly miss: Record<string, number> } }
}

const COMPLETIONS = '/v1/completions'
const several = { prompt: ['so the étude', 'two'], n: 2, echo: true, logprobs: 1, max_tokens: 3, seed: 5, temperature: 1, ignore_eos: true }

async function complete(api: SimulatedApi, body: object): Promise<Body> {
  return (await (await api.post(COMPLETIONS, body)).json()) as Body
}

test('each choice of an echoed prompt has the prompt with its log probabilities before an answer of its own', async (t) => {
  const api = await openSimulatedApi(t)
  const { choices, usage } = await complete(api, several)
  t.deepEqual(choices.map(({ index }) => index), [0, 1, 2, 3])
  for (const { index, text, logprobs } of choices) {
    const seed = Number(seedOfChoice(5n, index % 2))
    const [alone] = (await complete(api, { ...several, n: 1, prompt: several.prompt[Math.floor(index / 2)], seed })).choices
    t.is(text, alone?.text ?? '', `choice ${index}`)
    t.deepEqual(logprobs, alone?.logprobs, `choice ${index}`)
    t.is(logprobs?.token_logprobs[0], null)
    t.is(logprobs?.tokens.slice(1).join(''), text)
  }
  t.not(choices[0]?.text, choices[1]?.text)
  t.is(usage.completion_tokens, 4 * 3)
  t.is(usage.attentionstore.miss['prompt_scored'], usage.prompt_tokens)
})

test('in a stream each choice begins with the prompt and its log probabilities, once', async (t) => {
  const api = await openSimulatedApi(t)
  const { choices } = await complete(api, several)
  const text = await (await api.post(COMPLETIONS, { ...several, stream: true })).text()
  const chunks = [...text.matchAll(/^data: (\{.*)$/gm)].flatMap(([, data]) => (JSON.parse(data as string) as { choices: Choice[] }).choices)
  for (const whole of choices) {
    const own = chunks.filter(({ index }) => index === whole.index)
    t.is(own[0]?.text, several.prompt[Math.floor(whole.index / 2)])
    t.is(own.map((chunk) => chunk.text).join(''), whole.text)
    for (const row of ['tokens', 'token_logprobs', 'text_offset'] as const) {
      const told: readonly unknown[] = own.flatMap(({ logprobs }) => [...(logprobs?.[row] ?? [])])
      t.deepEqual(told, [...(whole.logprobs?.[row] ?? [])], `choice ${whole.index}: ${row}`)
    }
  }
})

test('a prompt that is echoed alone is every choice, and no answer is told or counted', async (t) => {
  const api = await openSimulatedApi(t)
  const { choices, usage } = await complete(api, { ...several, max_tokens: 0 })
  t.deepEqual(choices.map(({ text, finish_reason: finish }) => [text, finish]), [0, 0, 1, 1].map((prompt) => [several.prompt[prompt], 'length']))
  t.is(usage.completion_tokens, 0)
})

test('echo without log probabilities shares and reuses the prompt', async (t) => {
  const api = await openSimulatedApi(t)
  const { choices, usage } = await complete(api, { ...several, prompt: 'a'.repeat(200), n: 3, logprobs: null })
  t.true(choices.every(({ text }) => text.startsWith('a'.repeat(200))))
  t.is(api.service.counters().computedTokens, usage.prompt_tokens + 2)
})

test('prompt_logprobs stand on every choice of a completion and once beside those of a chat, as of one request', async (t) => {
  const api = await openSimulatedApi(t)
  const body = { prompt: [111, 110, 101, 32, 116], prompt_logprobs: 2, max_tokens: 2, temperature: 1, seed: 3, ignore_eos: true }
  const alone = (await complete(api, body)).choices[0]?.prompt_logprobs
  const { choices } = await complete(api, { ...body, n: 3 })
  t.is(alone?.length, 5)
  for (const choice of choices) t.deepEqual(choice.prompt_logprobs, alone)
  const told = async (n: number) => {
    const response = await api.post('/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }], prompt_logprobs: 1, max_tokens: 2, n })
    return (await response.json()) as Body & { prompt_logprobs: unknown[] }
  }
  const [one, three] = [await told(1), await told(3)]
  t.is(three.choices.length, 3)
  t.is(three.prompt_logprobs.length, three.usage.prompt_tokens)
  t.deepEqual(three.prompt_logprobs, one.prompt_logprobs)
  t.true(three.choices.every((choice) => !('prompt_logprobs' in choice)))
})

test('the log probabilities that the choices of a completion tell are bounded together', async (t) => {
  const api = await openSimulatedApi(t)
  const body = { prompt: Array.from({ length: 450 }, () => 97), prompt_logprobs: 20, max_tokens: 1 }
  t.is((await api.post(COMPLETIONS, { ...body, n: 6 })).status, 200)
  t.deepEqual(await errorOf(await api.post(COMPLETIONS, { ...body, n: 7 })), { status: 400, code: 'invalid_value', param: 'prompt_logprobs' })
  // Another request has taken the steps within which those that are refused end.
  t.is((await complete(api, { prompt: 'x', max_tokens: 4 })).choices.length, 1)
  const { queued, preparing, running } = api.service.counters()
  t.deepEqual([queued, preparing, running], [0, 0, 0])
})

const ANSWER = 24
const user = (content: string): TurnMessage => ({ role: 'user', content })
const assistant = (content: string): TurnMessage => ({ role: 'assistant', content })
const HARBOUR = user('Describe the harbour of the old town at some length, please.')

/** @param rest of a request whose answer goes on with `text`. */
function opened(text: string, rest: Partial<TurnRequest> = {}): TurnRequest {
  const sampling = { ...greedy, temperature: 1, seed: 7n }
  return chat([], { maxTokens: ANSWER, ignoreEos: true, sampling, ...rest, prompt: { kind: 'chat', messages: [HARBOUR, assistant(text)], ending: 'open' } })
}

test('several answers that go on with one message share its tokens, and each joined message is continued from its own', async (t) => {
  const served = simulatedService()
  t.teardown(served.close)
  const answers = await askChoices(served.service, opened('The harbour is'), N)
  t.is(new Set(answers.map(({ text }) => text)).size, N)
  const prompt = answers[0]?.usage.promptTokens ?? 0
  t.is(served.service.counters().computedTokens, prompt + N - 1)
  const alone = simulatedService({}, { noReuse: true })
  t.teardown(alone.close)
  for (const [choice, request] of singles(opened('The harbour is'), N).entries()) {
    t.deepEqual(answers[choice]?.tokens, (await ask(alone.service, request)).tokens, `choice ${choice}`)
  }
  const id = answers[0]?.usage.conversation ?? ''
  for (const choice of [2, 0, 3]) {
    const { text = '' } = answers[choice] ?? {}
    const next = await ask(served.service, chat([HARBOUR, assistant(`The harbour is${text}`), user('And at night?')]))
    t.true(reusedTokens(next.usage) >= prompt + ANSWER - 2, `choice ${choice}: ${reusedTokens(next.usage)}`)
    if (choice === 2) t.is(next.usage.conversation, id, 'the first one that is continued goes on with the conversation')
    else t.not(next.usage.conversation, id)
  }
})

test('one of several cut answers is gone on with by several again', async (t) => {
  const said = ({ sampling: { seed } }: SequenceSpec): string => ` ${'abcdefghijklmnopqrstuvwxyz'.charAt(Number(seed % 26n))}`.repeat(ANSWER)
  const served = simulatedService({ recorded: scripted(said) })
  t.teardown(served.close)
  const first = await askChoices(served.service, opened('The harbour is'), 3)
  t.is(new Set(first.map(({ text }) => text)).size, 3)
  const text = `The harbour is${first[1]?.text}`
  const second = await askChoices(served.service, opened(text), 3)
  const prompt = first[1]?.usage.promptTokens ?? 0
  t.is(second[0]?.usage.promptTokens, prompt + ANSWER, 'the tokens of the answer stand as they were generated')
  t.true((second[0]?.usage.computedTokens ?? Infinity) <= 2)
  const next = await ask(served.service, chat([HARBOUR, assistant(text + second[2]?.text), user('And at night?')]))
  t.true(reusedTokens(next.usage) >= prompt + 2 * ANSWER - 2)
})

test('over the API, each choice of a continued message has only what follows, whole and in a stream', async (t) => {
  const script = ' grey in the morning.'
  const api = await openSimulatedApi(t, {}, undefined, { recorded: scripted(({ prefill = 0 }) => (prefill > 0 ? script : 'Something else.')) })
  const messages = [{ role: 'user', content: 'The harbour?' }, { role: 'assistant', content: 'It is', prefix: true }]
  const whole = (await (await api.post('/v1/chat/completions', { messages, n: 3 })).json()) as { choices: Array<{ message: { content: string } }> }
  t.deepEqual(whole.choices.map(({ message }) => message.content), [script, script, script])
  const text = await (await api.post('/v1/chat/completions', { messages, n: 3, stream: true })).text()
  const told = ['', '', '']
  for (const [, data] of text.matchAll(/^data: (\{.*)$/gm)) {
    const { choices } = JSON.parse(data as string) as { choices: Array<{ index: number; delta: { content?: string } }> }
    for (const { index, delta } of choices) told[index] += delta.content ?? ''
  }
  t.deepEqual(told, [script, script, script])
})
