// A conversation of ten windows on the real model: what is reused at every turn, and what is lost without.

import test from 'ava'
import type { Usage } from '../../ts/protocol/index.js'
import { leftOut, viewParameters } from '../../ts/engine/view.js'
import { ask, reuseBound, reusedFrom, type Answer, type Message } from '../support/conversation.js'
import { converse } from '../support/long-conversation.js'
import { has, testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'

const modelTest = testNeeding('model')
const WINDOW = 512
const ARGS = ['--context-window', `${WINDOW}`, '--max-context', '1024', '--hbm-bytes', '64MiB', '--dram-bytes', '128MiB', '--ssd-bytes', '0']

let reusing: TestServer
let forgetting: TestServer

test.before(async () => {
  if (!has('model')) return
  reusing = await TestServer.start({ args: ARGS })
  forgetting = await TestServer.start({ args: [...ARGS, '--reuse-after-truncation', 'off'] })
})

test.after.always(async () => {
  await reusing?.stop()
  await forgetting?.stop()
})

const computed = (answers: readonly Answer[]): number => answers.reduce((sum, { usage }) => sum + usage.attentionstore.computed_tokens, 0)

modelTest('a conversation of ten windows reuses at every turn what the turn before computed and the view still holds', async (t) => {
  const answers = await converse(reusing, 10 * WINDOW)
  // The system prompt that the template adds fits in one block.
  const view = viewParameters(WINDOW, 0.5, 1)
  for (const [turn, { usage }] of answers.entries()) {
    const { computed_tokens, outside_view_tokens } = usage.attentionstore
    const answer = answers[turn] as Answer
    t.is(reusedFrom(answer) + computed_tokens + outside_view_tokens, usage.prompt_tokens)
    const before = answers[turn - 1]
    if (before === undefined) continue
    // The last sampled token and what follows it in the template are new; everything else was computed and is found.
    const known = usage.prompt_tokens - computed_tokens
    t.true(known >= reuseBound(before), `turn ${turn}: ${known} of ${reuseBound(before)} tokens`)
    t.is(outside_view_tokens, leftOut(view, known), `turn ${turn}`)
    t.true(reusedFrom(answer) >= 0.99 * (reuseBound(before) - leftOut(view, known)), `turn ${turn}`)
  }
  t.true(answers.length > 20)
})

modelTest('without reuse after a truncation the same turns compute more, and answer too', async (t) => {
  const lost = await converse(forgetting, 4 * WINDOW)
  const kept = await converse(reusing, 4 * WINDOW)
  t.true(computed(lost) > 1.3 * computed(kept), `${computed(lost)} tokens computed, ${computed(kept)} with reuse`)
  t.true(lost.every(({ finish, text }) => finish !== '' && text !== ''))
})

modelTest('a prompt longer than the context is refused with both counts, and served with truncation', async (t) => {
  const messages: Message[] = [{ role: 'user', content: 'harbour '.repeat(1500) }]
  const refused = await reusing.post('/v1/chat/completions', { messages, max_tokens: 1 })
  t.is(refused.status, 400)
  const { error } = (await refused.json()) as { error: { code: string; message: string } }
  t.is(error.code, 'context_length_exceeded')
  t.regex(error.message, /\b15\d\d tokens.*\b1024\b/)
  const { usage } = await ask(reusing, messages, { temperature: 0, max_tokens: 2, truncation: 'auto' })
  t.true(usage.attentionstore.outside_view_tokens > 0)
  t.true(usage.attentionstore.computed_tokens <= WINDOW)
})

modelTest('completions are truncated and refused as chats are', async (t) => {
  const post = (rest: object): Promise<Response> =>
    reusing.post('/v1/completions', { prompt: Array.from({ length: 1100 }, (_, i) => 300 + (i % 500)), max_tokens: 2, temperature: 0, ...rest })
  const refused = await post({ truncation: 'disabled' })
  t.is(refused.status, 400)
  const { error } = (await refused.json()) as { error: { code: string; message: string } }
  t.is(error.code, 'context_length_exceeded')
  t.regex(error.message, /\b1100 tokens.*\b1024\b/)
  const served = await post({ truncation: 'auto' })
  t.is(served.status, 200, await served.clone().text())
  const { usage } = (await served.json()) as { usage: Usage }
  t.is(usage.prompt_tokens, 1100)
  t.is(usage.attentionstore.outside_view_tokens, leftOut(viewParameters(WINDOW, 0.5, 0), 1099))
})
