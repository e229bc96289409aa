// Several answers to one request on the default model: each is the one that a single request gets, and any goes on.

import test from 'ava'
import type { Usage } from '../../ts/protocol/index.js'
import { seedOfChoice } from '../../ts/surfaces/choices.js'
import { has, testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'

const modelTest = testNeeding('model')
const SIZES = ['--hbm-bytes', '96MiB', '--dram-bytes', '64MiB', '--ssd-bytes', '0']
const N = 4
const SEED = 11
const QUESTION = { role: 'user', content: `Here is what I know of the harbour. ${'Ships come in from the west at dawn and leave before noon. '.repeat(10)}Tell me more of it.` }
const SAMPLED = { temperature: 1, max_tokens: 12, seed: SEED }

interface Chat {
  readonly choices: ReadonlyArray<{ readonly index: number; readonly finish_reason: string; readonly message: { readonly content: string }; readonly logprobs: { readonly content: ReadonlyArray<{ readonly logprob: number }> } | null }>
  readonly usage: Usage
  readonly prompt_logprobs?: readonly unknown[]
}

let server: TestServer
let computing: TestServer

test.before(async () => {
  if (!has('model')) return
  server = await TestServer.start({ args: SIZES })
  computing = await TestServer.start({ args: ['--no-reuse', '--hbm-bytes', '96MiB'] })
})

test.after.always(async () => {
  await server?.stop()
  await computing?.stop()
})

async function chat(of: TestServer, body: object): Promise<Chat> {
  const response = await of.post('/v1/chat/completions', { ...SAMPLED, ...body })
  if (response.status !== 200) throw new Error(await response.text())
  return (await response.json()) as Chat
}

async function promptComputed(): Promise<number> {
  const text = await (await server.get('/metrics')).text()
  return Number(/^attentionstore_computed_tokens_total (\d+)$/m.exec(text)?.[1])
}

modelTest('four answers compute their prompt once, are those of single requests with the derived seeds, and each goes on', async (t) => {
  const before = await promptComputed()
  const several = await chat(server, { messages: [QUESTION], n: N, logprobs: true })
  const { prompt_tokens: prompt, attentionstore } = several.usage
  t.true(prompt > 150)
  t.deepEqual(several.choices.map(({ index }) => index), [0, 1, 2, 3])
  t.is(new Set(several.choices.map(({ message }) => message.content)).size, N)
  t.deepEqual([attentionstore.computed_tokens, several.usage.prompt_tokens_details?.cached_tokens], [prompt, 0])
  t.is((await promptComputed()) - before, prompt + N - 1, 'each answer behind the first computes the last token alone')

  for (const { index, message, logprobs, finish_reason: finish } of several.choices) {
    const alone = await chat(computing, { messages: [QUESTION], seed: Number(seedOfChoice(BigInt(SEED), index)), logprobs: true })
    t.like(alone.choices[0], { message: { content: message.content }, finish_reason: finish }, `choice ${index}`)
    t.deepEqual(alone.choices[0]?.logprobs, logprobs, `choice ${index}: to the bit`)
  }

  const conversations = new Set<string>()
  for (const { index, message, logprobs } of several.choices.toReversed()) {
    const messages = [QUESTION, { role: 'assistant', content: message.content }, { role: 'user', content: 'Go on.' }]
    const { usage } = await chat(server, { messages, max_tokens: 1 })
    const known = prompt + (logprobs?.content.length ?? 0)
    const reused = usage.prompt_tokens_details?.cached_tokens ?? 0
    t.true(reused >= known - 2, `choice ${index}: ${reused} of ${known}`)
    conversations.add(usage.attentionstore.conversation)
  }
  t.is(conversations.size, N, 'one goes on, and the others fork')
})

modelTest('four answers to a prompt that is scored share its log probabilities', async (t) => {
  const messages = [{ role: 'user', content: `${QUESTION.content} And of its lighthouse?` }]
  const before = await promptComputed()
  const several = await chat(server, { messages, n: N, prompt_logprobs: 1, max_tokens: 2 })
  t.is((await promptComputed()) - before, several.usage.prompt_tokens + N - 1)
  t.is(several.prompt_logprobs?.length, several.usage.prompt_tokens)
  const alone = await chat(computing, { messages, prompt_logprobs: 1, max_tokens: 1 })
  t.deepEqual(several.prompt_logprobs, alone.prompt_logprobs)
})
