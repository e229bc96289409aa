// Chats by OpenAI's client for Node, against each family's own form of output.

import test from 'ava'
import type OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { ADA, BERGEN, FAMILIES, FAMILY, HELLO, openai, OSLO, PERSON, THOUGHT, WEATHER } from './support.js'

type Message = OpenAI.ChatCompletionMessageParam

const tools: OpenAI.ChatCompletionTool[] = [
  { type: 'function', function: { name: 'get_weather', description: 'The weather of a city', parameters: WEATHER } },
]

function asking(content: string): Message[] {
  return [{ role: 'user', content }]
}

function parsed({ choices }: OpenAI.ChatCompletion): Array<{ name: string; arguments: unknown }> {
  const calls = choices[0]?.message.tool_calls ?? []
  return calls.flatMap((call) => (call.type === 'function' ? [{ name: call.function.name, arguments: JSON.parse(call.function.arguments) }] : []))
}

const OSLO_CALL = { name: 'get_weather', arguments: OSLO }
const BERGEN_CALL = { name: 'get_weather', arguments: BERGEN }

for (const family of FAMILIES) {
  const client = openai(family)
  const model = family.name

  test(`${model}: an answer, whole and as a stream, is the text that the model said`, async (t) => {
    const whole = await client.chat.completions.create({ model, messages: asking('Say hello.') })
    t.like(whole.choices[0], { finish_reason: 'stop', message: { role: 'assistant', content: HELLO } })
    const stream = client.chat.completions.stream({ model, messages: asking('Say hello.'), stream_options: { include_usage: true } })
    let text = ''
    stream.on('content', (delta) => (text += delta))
    t.is(await stream.finalContent(), HELLO)
    t.is(text, HELLO)
    t.deepEqual((await stream.totalUsage()).completion_tokens, whole.usage?.completion_tokens)
  })

  test(`${model}: a call, its result sent back, and the answer to it`, async (t) => {
    const messages = asking('What is the weather in Oslo?')
    const first = await client.chat.completions.create({ model, messages, tools })
    t.deepEqual(parsed(first), [OSLO_CALL])
    t.is(first.choices[0]?.finish_reason, 'tool_calls')
    const message = first.choices[0]?.message as OpenAI.ChatCompletionMessage
    const [call] = message.tool_calls ?? []
    messages.push(message, { role: 'tool', tool_call_id: call?.id ?? '', content: 'Cold.' })
    const second = await client.chat.completions.create({ model, messages, tools })
    t.regex(second.choices[0]?.message.content ?? '', /^I was told: .*Cold\./)
    t.true((second.usage?.prompt_tokens_details?.cached_tokens ?? 0) >= 64, 'the first turn is reused')
  })

  test(`${model}: a stream of calls gives each its name once and arguments that add up`, async (t) => {
    const messages = asking('What is the weather in Oslo and in Bergen?')
    const stream = client.chat.completions.stream({ model, messages, tools })
    const pieces: string[] = []
    stream.on('tool_calls.function.arguments.delta', ({ arguments_delta: delta }) => pieces.push(delta))
    const whole = await stream.finalChatCompletion()
    const expected = family.format === 'harmony' ? [OSLO_CALL] : [OSLO_CALL, BERGEN_CALL]
    t.deepEqual(parsed(whole), expected)
    t.true(pieces.length > 3, 'arguments come as they are sampled')
    t.is(whole.choices[0]?.finish_reason, 'tool_calls')
  })

  test(`${model}: a call that is forced, and none where none may be`, async (t) => {
    const messages = asking('What is the weather in Oslo?')
    const named = { type: 'function' as const, function: { name: 'get_weather' } }
    for (const choice of ['required', named] as const) {
      t.deepEqual(parsed(await client.chat.completions.create({ model, messages, tools, tool_choice: choice })), [OSLO_CALL])
    }
    const hello = await client.chat.completions.create({ model, messages: asking('Say hello.'), tools, tool_choice: 'none' })
    t.is(hello.choices[0]?.message.content, HELLO)
  })

  test(`${model}: structured output is parsed by the client`, async (t) => {
    const Person = z.object({ name: z.string(), age: z.number() })
    const messages = asking('Who is Ada?')
    const answer = await client.chat.completions.parse({ model, messages, response_format: zodResponseFormat(Person, 'person') })
    t.deepEqual(answer.choices[0]?.message.parsed, ADA)
    const format = { type: 'json_schema' as const, json_schema: { name: 'person', strict: true, schema: PERSON } }
    const stream = client.chat.completions.stream({ model, messages, response_format: format })
    t.deepEqual(JSON.parse((await stream.finalContent()) ?? ''), ADA)
    const object = await client.chat.completions.create({ model, messages, response_format: { type: 'json_object' } })
    t.deepEqual(JSON.parse(object.choices[0]?.message.content ?? ''), ADA)
  })
}

for (const family of FAMILIES.filter(({ reasons }) => reasons)) {
  test(`${family.name}: reasoning comes beside the content, and is counted`, async (t) => {
    const client = openai(family)
    const whole = await client.chat.completions.create({ model: family.name, messages: asking('Think first.') })
    t.like(whole.choices[0]?.message, { content: 'Four.', reasoning_content: THOUGHT })
    t.true((whole.usage?.completion_tokens_details?.reasoning_tokens ?? 0) > 5)
    let reasoning = ''
    for await (const { choices } of await client.chat.completions.create({ model: family.name, messages: asking('Think first.'), stream: true })) {
      reasoning += (choices[0]?.delta as { reasoning_content?: string } | undefined)?.reasoning_content ?? ''
    }
    t.is(reasoning, THOUGHT)
    const called = await client.chat.completions.create({ model: family.name, messages: asking('Think, then call.'), tools })
    t.like(called.choices[0]?.message, { reasoning_content: 'I need the weather.' })
    t.deepEqual(parsed(called), [OSLO_CALL])
  })
}

test('an answer ends at a stop string and at its limit, and says which', async (t) => {
  const client = openai(FAMILY)
  const messages = asking('Keep talking.')
  const stopped = await client.chat.completions.create({ model: FAMILY.name, messages, stop: 'Line 3' })
  t.is(stopped.choices[0]?.message.content, 'Line 1 of a long answer.\nLine 2 of a long answer.\n')
  t.is(stopped.choices[0]?.finish_reason, 'stop')
  const cut = await client.chat.completions.create({ model: FAMILY.name, messages, max_completion_tokens: 5 })
  t.like(cut, { choices: [{ finish_reason: 'length' }], usage: { completion_tokens: 5 } })
})

test('a second turn reuses the first, and the usage says so', async (t) => {
  const client = openai(FAMILY)
  const messages = asking('Keep talking.')
  const first = await client.chat.completions.create({ model: FAMILY.name, messages })
  messages.push(first.choices[0]?.message as OpenAI.ChatCompletionMessage, ...asking('Say hello.'))
  const { usage } = await client.chat.completions.create({ model: FAMILY.name, messages })
  const before = (first.usage?.prompt_tokens ?? 0) + (first.usage?.completion_tokens ?? 0)
  t.true((usage?.prompt_tokens_details?.cached_tokens ?? 0) >= before - 2)
})

test('log probabilities have a token and its alternatives for each place', async (t) => {
  const answer = await openai(FAMILY).chat.completions.create({ model: FAMILY.name, messages: asking('Say hello.'), logprobs: true, top_logprobs: 2 })
  const tokens = answer.choices[0]?.logprobs?.content ?? []
  t.true(tokens.length > 5)
  t.true(tokens.every(({ logprob, top_logprobs: top }) => logprob <= 0 && top.length === 2))
})

test('raw completions, whole and as a stream', async (t) => {
  const client = openai(FAMILY)
  const whole = await client.completions.create({ model: FAMILY.name, prompt: 'Say hello.', max_tokens: 40 })
  t.is(whole.choices[0]?.text, HELLO)
  let text = ''
  for await (const { choices } of await client.completions.create({ model: FAMILY.name, prompt: 'Say hello.', max_tokens: 40, stream: true })) text += choices[0]?.text ?? ''
  t.is(text, HELLO)
})

test('models are listed and retrieved', async (t) => {
  const client = openai(FAMILY)
  const names: string[] = []
  for await (const { id } of client.models.list()) names.push(id)
  t.deepEqual(names, [FAMILY.name])
  t.is((await client.models.retrieve(FAMILY.name)).object, 'model')
})
