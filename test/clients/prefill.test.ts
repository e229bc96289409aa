// Messages that the client began, gone on with in each family's own form.

import test from 'ava'
import type OpenAI from 'openai'
import { anthropic, FAMILIES, HELLO, openai, OSLO, WEATHER, type Family } from './support.js'

type Message = OpenAI.ChatCompletionMessageParam
type Begun = OpenAI.ChatCompletionAssistantMessageParam & { readonly prefix?: true }

const tools: OpenAI.ChatCompletionTool[] = [
  { type: 'function', function: { name: 'get_weather', description: 'The weather of a city', parameters: WEATHER } },
]
const user = (content: string): Message => ({ role: 'user', content })

/** The answer that goes on with a message. */
async function goneOn(family: Family, question: string, begun: Omit<Begun, 'role'>, more: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> = {}) {
  const messages = [user(question), { role: 'assistant', prefix: true, ...begun } as Message]
  const answer = await openai(family).chat.completions.create({ model: family.name, messages, ...more })
  const [choice] = answer.choices
  if (choice === undefined) throw new Error('no choice')
  const { prompt_tokens: prompt = 0, completion_tokens: completion = 0 } = answer.usage ?? {}
  return { ...choice, known: prompt + completion }
}

for (const family of FAMILIES) {
  const { name } = family

  test(`${name}: an answer goes on with the client’s text, and the joined message is reused`, async (t) => {
    const begun = 'Hello from the model: na'
    const { message, finish_reason: finish, known } = await goneOn(family, 'Say hello.', { content: begun }, { tools })
    t.is(begun + message.content, HELLO)
    t.is(finish, 'stop')
    const messages: Message[] = [user('Say hello.'), { role: 'assistant', content: HELLO }, user('Say hello.')]
    const { usage } = await openai(family).chat.completions.create({ model: name, messages, tools })
    const told = usage as OpenAI.CompletionUsage & { attentionstore: { miss: { reasoning_dropped: number } } }
    const reused = told.prompt_tokens_details?.cached_tokens ?? 0
    // Qwen 3's template writes a thought before the last answer, and leaves it out of earlier ones.
    if (name === 'qwen3') t.true(told.attentionstore.miss.reasoning_dropped > 0, JSON.stringify(told))
    else t.true(reused >= known - 2, `${reused} of ${known}`)
  })

  test(`${name}: an answer that goes on with the client’s text may call a tool, whole and as a stream`, async (t) => {
    const question = 'Say what you do, then call.'
    const { message, finish_reason: finish } = await goneOn(family, question, { content: 'I will' }, { tools })
    t.is(message.content, ' look it up.')
    t.is(finish, 'tool_calls')
    const [call] = message.tool_calls ?? []
    if (call?.type !== 'function') return t.fail(JSON.stringify(message))
    t.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ['get_weather', OSLO])
    const messages = [user(question), { role: 'assistant', content: 'I will', prefix: true } as Message]
    const streamed = await openai(family).chat.completions.stream({ model: name, messages, tools }).finalMessage()
    t.is(streamed.content, ' look it up.')
    const [again] = streamed.tool_calls ?? []
    t.deepEqual(JSON.parse(again?.type === 'function' ? again.function.arguments : '""'), OSLO)
    const whole: Message = { role: 'assistant', content: 'I will look it up.', tool_calls: [call] }
    const next = await openai(family).chat.completions.create({ model: name, messages: [user(question), whole, { role: 'tool', tool_call_id: call.id, content: 'Cold.' }], tools })
    t.regex(next.choices[0]?.message.content ?? '', /Cold/)
  })

  test(`${name}: several answers go on with one message`, async (t) => {
    const messages = [user('Say hello.'), { role: 'assistant', content: 'Hello from', prefix: true } as Message]
    const { choices } = await openai(family).chat.completions.create({ model: name, messages, n: 3 })
    t.deepEqual(choices.map(({ message }) => `Hello from${message.content}`), [HELLO, HELLO, HELLO])
  })

  test(`${name}: the last message of /v1/messages is gone on with, whole and as a stream`, async (t) => {
    const tool = { name: 'get_weather', description: 'The weather of a city', input_schema: WEATHER as { type: 'object' } }
    const body = { model: name, max_tokens: 200, tools: [tool] }
    const hello = await anthropic(family).messages.create({ ...body, messages: [{ role: 'user', content: 'Say hello.' }, { role: 'assistant', content: 'Hello from' }] })
    t.deepEqual(hello.content.map((block) => (block.type === 'text' ? block.text : block.type)), [HELLO.slice('Hello from'.length)])
    const messages = [{ role: 'user' as const, content: 'Say what you do, then call.' }, { role: 'assistant' as const, content: 'I will' }]
    const called = await anthropic(family).messages.stream({ ...body, messages }).finalMessage()
    const [said, use] = called.content
    t.like(said, { type: 'text', text: ' look it up.' })
    t.like(use, { type: 'tool_use', name: 'get_weather', input: OSLO })
  })

  // The template of harmony writes no reasoning into the last message.
  if (!family.reasons || family.format === 'harmony') continue
  test(`${name}: an answer goes on with reasoning that the client began, and what it is held to begins behind it`, async (t) => {
    const tokenized = await fetch(`${family.url}/tokenize`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${family.key}` },
      body: JSON.stringify({ prompt: '</think>', add_special_tokens: false, parse_special: true }),
    })
    const { tokens } = (await tokenized.json()) as { tokens: number[] }
    t.is(tokens.length, 1)
    // No script holds reasoning: the model is made to end it at once.
    const begun = { content: '', reasoning_content: 'Let me think' }
    const { message } = await goneOn(family, 'Think first.', begun, { logit_bias: { [`${tokens[0]}`]: 100 }, max_tokens: 40 })
    t.like(message, { content: 'Four.', reasoning_content: undefined })
  })
}
