// Log probabilities of prompts on the default model: those that the same tokens had when they were sampled.

import test from 'ava'
import { has, testNeeding } from '../support/requirements.js'
import { TestServer, tokensOf } from '../support/server.js'

const modelTest = testNeeding('model')
let server: TestServer

test.before(async () => {
  // Chunks of prefill are shorter than the prompts.
  if (has('model')) server = await TestServer.start({ args: ['--hbm-bytes', '96MiB', '--dram-bytes', '64MiB', '--ssd-bytes', '0', '--max-batch-tokens', '32'] })
})

test.after.always(() => server?.stop())

interface Rows {
  readonly tokens: string[]
  readonly token_logprobs: Array<number | null>
  readonly top_logprobs: Array<Record<string, number> | null>
}
interface Completion {
  readonly choices: ReadonlyArray<{ text: string; logprobs: Rows; prompt_logprobs?: Array<Record<string, { logprob: number; rank: number; decoded_token: string }> | null> }>
  readonly usage: { prompt_tokens: number; completion_tokens: number; attentionstore: { computed_tokens: number; miss: Record<string, number> } }
}

async function complete(body: object): Promise<Completion> {
  const response = await server.post('/v1/completions', { temperature: 0, ...body })
  if (response.status !== 200) throw new Error(await response.text())
  return (await response.json()) as Completion
}

const PROMPT = 'The water of a river runs down from the hills to the sea, and the rain that falls on the hills comes from the sea again. A child who asks where the water comes from is told'

modelTest('a sampled answer that comes back as a prompt has the log probabilities that it was sampled with, to the bit', async t => {
  const prompt = await tokensOf(server, PROMPT)
  const sampled = (await complete({ prompt, max_tokens: 24, logprobs: 2 })).choices[0]
  const answer = await complete({ prompt: [...prompt, ...(await tokensOf(server, sampled?.text ?? ''))], max_tokens: 0, echo: true, logprobs: 2 })
  const [scored] = answer.choices
  t.is(scored?.text, PROMPT + (sampled?.text ?? ''))
  t.is(answer.usage.completion_tokens, 0)
  t.deepEqual(scored?.logprobs.tokens.slice(prompt.length), sampled?.logprobs.tokens)
  t.deepEqual(scored?.logprobs.token_logprobs.slice(prompt.length), sampled?.logprobs.token_logprobs)
  t.deepEqual(scored?.logprobs.top_logprobs.slice(prompt.length), sampled?.logprobs.top_logprobs)
})

modelTest('prompt_logprobs hold each token of the prompt with its rank, and nothing was reused', async t => {
  const prompt = await tokensOf(server, PROMPT)
  await complete({ prompt, max_tokens: 1 })
  const { choices, usage } = await complete({ prompt, max_tokens: 1, prompt_logprobs: 3 })
  t.deepEqual([usage.attentionstore.computed_tokens, usage.attentionstore.miss['prompt_scored']], [prompt.length, prompt.length])
  const scores = choices[0]?.prompt_logprobs ?? []
  t.is(scores.length, prompt.length)
  t.is(scores[0], null)
  scores.slice(1).forEach((map, i) => {
    const entries = Object.values(map ?? {})
    const own = map?.[String(prompt[i + 1])]
    t.true(own !== undefined && own.logprob <= 0)
    t.is(entries.length, (own?.rank ?? 0) <= 3 ? 3 : 4)
    for (const other of entries) t.is(Math.sign(other.rank - (own?.rank ?? 0)), Math.sign((own?.logprob ?? 0) - other.logprob))
  })
})
