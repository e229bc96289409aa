import test from 'ava'
import type { ChatRequest } from 'attentionstore/protocol'
import { HttpFailure } from '../../http/failure.js'
import { FakeHttp, settled, type Asked } from '../../testing/http.js'
import { inScope } from '../../testing/scope.js'
import { useChats } from './chats/use-chats.js'
import { NEW_SETTINGS } from './settings/chat-settings.js'
import { usePlayground } from './use-playground.js'

// Frames come from a screen, which a test has none of: here nothing is drawn between pieces.
Object.assign(globalThis, { requestAnimationFrame: () => 1, cancelAnimationFrame: () => {} })

const USAGE = {
  prompt_tokens: 30,
  completion_tokens: 2,
  total_tokens: 32,
  prompt_tokens_details: { cached_tokens: 20 },
  completion_tokens_details: { reasoning_tokens: 0 },
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
const answerOf = (text: string, finish = 'stop') => stream(choice(text, finish), { choices: [], usage: USAGE })

const played = (t: Parameters<typeof inScope>[0]) => {
  const http = new FakeHttp()
  let ids = 0
  const { result, end } = inScope(t, () => {
    const chats = useChats({
      openStore: () => Promise.reject(new Error('no storage here')),
      lastOpen: { get: () => null, set: () => {} },
      newId: () => `chat-${(ids += 1)}`,
      now: () => 1,
    })
    return { chats, playground: usePlayground({ http, chats, prefillSpeed: () => 100, model: () => null, now: () => 1 }) }
  })
  const { chats, playground } = result
  /** The request, once it was answered. */
  const during = async (begun: Promise<void>, text: string): Promise<Asked> => {
    const asked = await http.next()
    await asked.answer(answerOf(text))
    await begun
    return asked
  }
  return { http, chats, playground, end, during, shown: () => playground.path.value.map(({ text }) => text) }
}
const bodyOf = ({ options }: Asked) => options.body as ChatRequest
const said = (asked: Asked) => bodyOf(asked).messages.map(({ content }) => content)

test('an answer is put together from its pieces, with where its context came from', async (t) => {
  const { http, playground } = played(t)
  const sending = playground.send('How are you?')
  t.is(playground.writingIn.value, 'chat-1')
  await (await http.next()).answer(stream(choice('Fi'), choice('ne.', 'stop'), { choices: [], usage: USAGE }))
  await sending
  t.like(playground.path.value[1], { role: 'assistant', text: 'Fine.', state: 'ended', finish: 'stop', savedMs: 200 })
  t.is(playground.writingIn.value, null)
})

test('each turn sends the whole history, after the system prompt if there is one, with the chat’s numbers', async (t) => {
  const { playground, during } = played(t)
  playground.configure({ ...NEW_SETTINGS, system: ' Be kind. ', numbers: { temperature: 0.1 } })
  t.deepEqual(said(await during(playground.send('a'), 'yes')), ['Be kind.', 'a'])
  const second = await during(playground.send('b'), 'yes')
  t.deepEqual(said(second), ['Be kind.', 'a', 'yes', 'b'])
  t.like(bodyOf(second), { temperature: 0.1, max_tokens: 1024, stream: true })
})

test('another answer is asked for with the history up to its question, and stands beside the first', async (t) => {
  const { playground, during, shown } = played(t)
  await during(playground.send('a'), 'first')
  await during(playground.send('b'), 'second')
  t.deepEqual(said(await during(playground.regenerate(1), 'first, again')), ['a'])
  t.deepEqual(shown(), ['a', 'first, again'])
  playground.show(1)
  t.deepEqual(shown(), ['a', 'first', 'b', 'second'])
})

test('a changed question is sent with the history before it, and begins a branch of its own', async (t) => {
  const { playground, during, shown } = played(t)
  await during(playground.send('a'), 'yes')
  await during(playground.send('b'), 'no')
  t.deepEqual(said(await during(playground.resend(2, 'c'), 'maybe')), ['a', 'yes', 'c'])
  t.deepEqual(shown(), ['a', 'yes', 'c', 'maybe'])
})

test('a fork begins with what was said so far, and leaves the original as it is', async (t) => {
  const { chats, playground, during } = played(t)
  await during(playground.send('a'), 'yes')
  await during(playground.send('b'), 'yes')
  chats.fork(1)
  t.deepEqual(said(await during(playground.send('c'), 'yes')), ['a', 'yes', 'c'])
  t.is(chats.chats.value.find(({ id }) => id === 'chat-1')?.entries.length, 4)
})

test('the results of calls are sent with the ids of their calls', async (t) => {
  const { http, playground, during } = played(t)
  const sending = playground.send('weather?')
  const call = { index: 0, id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }
  await (await http.next()).answer(stream({ choices: [{ index: 0, delta: { tool_calls: [call] }, finish_reason: 'tool_calls' }] }))
  await sending
  const asked = await during(playground.giveResults(new Map([['c1', 'sun']])), 'Sunny.')
  t.like(bodyOf(asked).messages.at(-1), { role: 'tool', tool_call_id: 'c1', content: 'sun' })
  t.deepEqual(playground.path.value.map(({ role }) => role), ['user', 'assistant', 'tool', 'assistant'])
})

test('a refusal is told at the answer, and trying again sends the question once', async (t) => {
  const { http, playground, during } = played(t)
  const sending = playground.send('too long')
  await (await http.next()).refuse(new HttpFailure(400, 'context_length_exceeded', 'the prompt has too many tokens'))
  await sending
  t.like(playground.path.value.at(-1), { state: 'failed', text: '', failure: 'the prompt has too many tokens' })
  t.deepEqual(said(await during(playground.regenerate(1), 'fine')), ['too long'])
  t.like(playground.path.value.at(-1), { id: 1, text: 'fine' })
})

test('tools that are none are told before anything is sent', async (t) => {
  const { http, playground } = played(t)
  playground.configure({ ...NEW_SETTINGS, tools: '[' })
  await playground.send('a')
  t.like(playground.path.value.at(-1), { state: 'failed' })
  t.is(http.asked.length, 0)
})

test('a stopped answer keeps its text, and the next question sends it', async (t) => {
  const { http, playground, during } = played(t)
  const sending = playground.send('a')
  const asked = await http.next()
  const half = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(choice('hal'))}\n\n`))
      asked.options.signal?.addEventListener('abort', () => controller.error(new DOMException('', 'AbortError')))
    },
  })
  await asked.answer(new Response(half))
  playground.stop()
  await sending
  t.like(playground.path.value[1], { text: 'hal', state: 'stopped' })
  t.deepEqual(said(await during(playground.send('b'), 'yes')), ['a', 'hal', 'b'])
})

test('an answer that reached its longest length goes on where it left off, as one message', async (t) => {
  const { http, playground, during, shown } = played(t)
  const sending = playground.send('a')
  await (await http.next()).answer(answerOf('Once upon', 'length'))
  await sending
  const asked = await during(playground.goOn(1), ' a time.')
  t.like(bodyOf(asked), { add_generation_prompt: false, continue_final_message: true })
  t.deepEqual(said(asked), ['a', 'Once upon'])
  t.deepEqual(shown(), ['a', 'Once upon a time.'])
  t.like(playground.path.value[1], { state: 'ended', finish: 'stop' })
  await playground.goOn(1)
  await settled()
  t.is(http.asked.length, 0)
})

test('an answer that cannot go on keeps its text and says why', async (t) => {
  const { http, playground } = played(t)
  const sending = playground.send('a')
  await (await http.next()).answer(answerOf('Once upon', 'length'))
  await sending
  const going = playground.goOn(1)
  await (await http.next()).refuse(new HttpFailure(400, 'template_refused', 'the template writes the message another way'))
  await going
  t.like(playground.path.value[1], { text: 'Once upon', state: 'failed', failure: 'the template writes the message another way' })
})

test('while one answer is written no other question is asked, and leaving the page ends it', async (t) => {
  const { http, playground, end } = played(t)
  void playground.send('a')
  const asked = await http.next()
  await playground.send('b')
  await playground.regenerate(1)
  await settled()
  t.is(http.asked.length, 0)
  t.false(asked.options.signal?.aborted)
  end()
  t.true(asked.options.signal?.aborted)
})
