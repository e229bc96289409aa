// Responses by OpenAI's client for Node, against each family's own form of output; and that client's errors.

import test from 'ava'
import OpenAI from 'openai'
import { zodTextFormat } from 'openai/helpers/zod'
import type { APIError } from 'openai/error'
import { z } from 'zod'
import { ADA, BERGEN, FAMILIES, FAMILY, HELLO, openai, OSLO, THOUGHT, WEATHER } from './support.js'

const tools: OpenAI.Responses.FunctionTool[] = [
  { type: 'function', name: 'get_weather', description: 'The weather of a city', parameters: WEATHER, strict: false },
]

function callsOf({ output }: OpenAI.Responses.Response): OpenAI.Responses.ResponseFunctionToolCall[] {
  return output.filter((item) => item.type === 'function_call')
}

for (const family of FAMILIES) {
  const client = openai(family)
  const model = family.name

  test(`${model}: a response, whole and as a stream, is the text that the model said`, async (t) => {
    const whole = await client.responses.create({ model, input: 'Say hello.' })
    t.is(whole.output_text, HELLO)
    t.is(whole.status, 'completed')
    const stream = client.responses.stream({ model, input: 'Say hello.', store: false })
    let text = ''
    stream.on('response.output_text.delta', ({ delta }) => (text += delta))
    const final = await stream.finalResponse()
    t.is(text, HELLO)
    t.is(final.output_text, HELLO)
    t.is(final.usage?.output_tokens, whole.usage?.output_tokens)
  })

  test(`${model}: a stream of calls, their results, and the response that continues it by its id`, async (t) => {
    const stream = client.responses.stream({ model, input: 'What is the weather in Oslo and in Bergen?', tools })
    const pieces = new Map<string, string>()
    stream.on('response.function_call_arguments.delta', ({ item_id: id, delta }) => void pieces.set(id, (pieces.get(id) ?? '') + delta))
    const first = await stream.finalResponse()
    const calls = callsOf(first)
    const expected = family.format === 'harmony' ? [OSLO] : [OSLO, BERGEN]
    t.deepEqual(calls.map((call) => JSON.parse(call.arguments)), expected)
    t.deepEqual([...pieces.values()].map((text) => JSON.parse(text)), expected)
    if (!family.parallel && calls.length > 1) return
    const input = calls.map(({ call_id }): OpenAI.Responses.ResponseInputItem => ({ type: 'function_call_output', call_id, output: 'Cold.' }))
    const second = await client.responses.create({ model, previous_response_id: first.id, input, tools })
    t.regex(second.output_text, /^I was told: .*Cold\./)
    t.true((second.usage?.input_tokens_details.cached_tokens ?? 0) >= 64)
    t.is(second.previous_response_id, first.id)
    await client.responses.delete(first.id)
    await t.throwsAsync(client.responses.retrieve(first.id), { instanceOf: OpenAI.NotFoundError })
  })

  test(`${model}: a response in a schema is parsed by the client`, async (t) => {
    const Person = z.object({ name: z.string(), age: z.number() })
    const { output_parsed } = await client.responses.parse({ model, input: 'Who is Ada?', text: { format: zodTextFormat(Person, 'person') } })
    t.deepEqual(output_parsed, ADA)
  })
}

for (const family of FAMILIES.filter(({ reasons }) => reasons)) {
  test(`${family.name}: reasoning is an item of its own, and its encrypted form is taken back`, async (t) => {
    const client = openai(family)
    const include: OpenAI.Responses.ResponseIncludable[] = ['reasoning.encrypted_content']
    const first = await client.responses.create({ model: family.name, input: 'Think first.', include, store: false })
    const [reasoning] = first.output
    t.like(reasoning, { type: 'reasoning', content: [{ type: 'reasoning_text', text: THOUGHT }] })
    t.is(first.output_text, 'Four.')
    t.true((first.usage?.output_tokens_details.reasoning_tokens ?? 0) > 5)
    const input: OpenAI.Responses.ResponseInput = [
      { role: 'user', content: 'Think first.' },
      ...(first.output as OpenAI.Responses.ResponseInputItem[]),
      { role: 'user', content: 'Say hello.' },
    ]
    t.is((await client.responses.create({ model: family.name, input, store: false })).output_text, HELLO)
  })
}

test('errors are the client’s own classes, with code and request id', async (t) => {
  const ask = (client: OpenAI, changes: object = {}) => t.throwsAsync<APIError>(client.responses.create({ model: FAMILY.name, input: 'Say hello.', ...changes }))
  const client = openai(FAMILY)
  const errors = [
    [await ask(client, { background: true }), OpenAI.BadRequestError, 'unsupported_parameter'],
    [await ask(openai(FAMILY, 'wrong')), OpenAI.AuthenticationError, 'invalid_api_key'],
    [await ask(client, { model: 'another' }), OpenAI.NotFoundError, 'model_not_found'],
    [await ask(client, { previous_response_id: 'resp_none' }), OpenAI.NotFoundError, 'previous_response_not_found'],
    [await ask(client, { input: 'Be busy.' }), OpenAI.RateLimitError, 'queue_full'],
  ] as const
  for (const [error, kind, code] of errors) {
    t.true(error instanceof kind, code)
    t.is(error.code, code)
    t.truthy(error.requestID)
  }
})

test('a prompt that is longer than the context is an error that names both counts', async (t) => {
  const error = await t.throwsAsync<APIError>(openai(FAMILY).chat.completions.create({ model: FAMILY.name, messages: [{ role: 'user', content: 'word '.repeat(40_000) }] }))
  t.true(error instanceof OpenAI.BadRequestError)
  t.is(error.code, 'context_length_exceeded')
})
