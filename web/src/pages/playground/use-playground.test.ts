import test from 'ava'
import type { ChatRequest } from 'attentionstore/protocol'
import { HttpFailure } from '../../http/failure.js'
import { FakeHttp, settled } from '../../testing/http.js'
import { inScope } from '../../testing/scope.js'
import { usePlayground } from './use-playground.js'

// Frames come from a screen, which a test has none of: here nothing is drawn between pieces.
Object.assign(globalThis, { requestAnimationFrame: () => 1, cancelAnimationFrame: () => {} })

const USAGE = {
  prompt_tokens: 30,
  completion_tokens: 2,
  total_tokens: 32,
  prompt_tokens_details: { cached_tokens: 20 },
  attentionstore: {
    conversation: 'conv_1',
    reused_tokens: { hbm: 20, dram: 0, ssd: 0 },
    computed_tokens: 10,
    recomputed_tokens: 0,
    outside_view_tokens: 0,
    miss: { never_seen: 10, reasoning_dropped: 0, prompt_scored: 0, evicted: 0, damaged: 0, outside_view: 0, unknown: 0 },
    queue_ms: 0,
    load_ms: 0,
    prefill_ms: 100,
    ttft_ms: 100,
  },
}
const choice = (content: string, finish: string | null = null) => ({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })
const stream = (...chunks: readonly unknown[]) =>
  new Response([...chunks.map((chunk) => JSON.stringify(chunk)), '[DONE]'].map((data) => `data: ${data}\n\n`).join(''))
const played = (t: Parameters<typeof inScope>[0]) => {
  const http = new FakeHttp()
  return { http, playground: inScope(t, () => usePlayground(http, () => 100)).result }
}
const said = (asked: { readonly options: { readonly body?: unknown } }) => (asked.options.body as ChatRequest).messages.map(({ content }) => content)

test('an answer is put together from its pieces, with where its context came from', async (t) => {
  const { http, playground } = played(t)
  const sending = playground.send('How are you?')
  t.is(playground.writingIn.value, 1)
  await (await http.next()).answer(stream(choice('Fi'), choice('ne.', 'stop'), { choices: [], usage: USAGE }))
  await sending
  const answer = playground.current.value.entries[1]
  t.like(answer, { role: 'assistant', text: 'Fine.', state: 'whole', savedMs: 200 })
  t.is(playground.current.value.conversation, 'conv_1')
  t.is(playground.writingIn.value, null)
})

test('each turn sends the whole history, after the system prompt if there is one', async (t) => {
  const { http, playground } = played(t)
  playground.settings.system = ' Be kind. '
  for (const [turn, expected] of [['a', ['Be kind.', 'a']], ['b', ['Be kind.', 'a', 'yes', 'b']]] as const) {
    const sending = playground.send(turn)
    const asked = await http.next()
    t.deepEqual(said(asked), [...expected])
    await asked.answer(stream(choice('yes', 'stop'), { choices: [], usage: USAGE }))
    await sending
  }
})

test('a fork begins with what was said so far, and leaves the original as it is', async (t) => {
  const { http, playground } = played(t)
  for (const turn of ['a', 'b']) {
    const sending = playground.send(turn)
    await (await http.next()).answer(stream(choice('yes', 'stop'), { choices: [], usage: USAGE }))
    await sending
  }
  playground.fork(1)
  t.is(playground.current.value.conversation, null)
  const sending = playground.send('c')
  const asked = await http.next()
  t.deepEqual(said(asked), ['a', 'yes', 'c'])
  await asked.answer(stream(choice('yes', 'length'), { choices: [], usage: USAGE }))
  await sending
  t.like(playground.current.value.entries.at(-1), { state: 'cut' })
  t.is(playground.threads.value[0]?.entries.length, 4)
})

test('a refusal is told, and what was not answered is not sent again', async (t) => {
  const { http, playground } = played(t)
  const sending = playground.send('too long')
  await (await http.next()).refuse(new HttpFailure(400, 'context_length_exceeded', 'the prompt has too many tokens'))
  await sending
  t.regex(playground.failure.value, /too many tokens/)
  t.like(playground.current.value.entries.at(-1), { state: 'failed', text: '' })
})

test('while one answer is written no other question is asked, and leaving the page ends it', async (t) => {
  const http = new FakeHttp()
  const { result: playground, end } = inScope(t, () => usePlayground(http, () => null))
  void playground.send('a')
  const asked = await http.next()
  await playground.send('b')
  await settled()
  t.is(http.asked.length, 0)
  t.false(asked.options.signal?.aborted)
  end()
  t.true(asked.options.signal?.aborted)
})
