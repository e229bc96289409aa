// Tools and structured output on the default model, asked for by the clients that agents use.

import Anthropic from '@anthropic-ai/sdk'
import type OpenAI from 'openai'
import { testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'

const modelTest = testNeeding('model')
const SIZES = ['--served-model-name', 'local', '--hbm-bytes', '96MiB', '--dram-bytes', '128MiB', '--ssd-bytes', '0']
const PARAMETERS = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 20 }, days: { type: 'integer', minimum: 1, maximum: 7 } },
  required: ['city', 'days'],
  additionalProperties: false,
}
const TOOL = { name: 'get_weather', description: 'The weather of a city for some days', parameters: PARAMETERS }

interface Weather {
  readonly city: string
  readonly days: number
}

function isWeather({ city, days, ...rest }: Weather): boolean {
  return typeof city === 'string' && Number.isInteger(days) && days >= 1 && days <= 7 && Object.keys(rest).length === 0
}

modelTest('an answer that is held to a schema satisfies it', async (t) => {
  const server = await TestServer.start({ args: SIZES })
  const { client } = server
  const schema = { type: 'object', properties: { name: { type: 'string', maxLength: 12 }, age: { type: 'integer' } }, required: ['name', 'age'], additionalProperties: false }
  for (let seed = 0; seed < 5; seed++) {
    const { choices } = await client.chat.completions.create({
      model: 'local',
      messages: [{ role: 'user', content: 'Describe a person.' }],
      response_format: { type: 'json_schema', json_schema: { name: 'person', strict: true, schema } },
      temperature: 1,
      seed,
      max_tokens: 200,
    })
    const said = choices[0]?.message.content ?? ''
    const person = JSON.parse(said) as { name: string; age: number }
    t.true(typeof person.name === 'string' && Number.isInteger(person.age), said)
    t.is(choices[0]?.finish_reason, 'stop')
  }
  t.is(await server.stop(), 0)
})

modelTest('each turn of a conversation with calls reuses the turn before, though the client writes the arguments anew', async (t) => {
  const server = await TestServer.start({ args: SIZES })
  const { client } = server
  const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'What is the weather in Paris for three days?' }]
  let before = 0
  for (let turn = 0; turn < 5; turn++) {
    const answer = await client.chat.completions.create({
      model: 'local',
      messages,
      tools: [{ type: 'function', function: { ...TOOL, strict: true } }],
      tool_choice: 'required',
      parallel_tool_calls: false,
      temperature: 0.2,
      seed: turn,
      max_tokens: 120,
    })
    const [choice] = answer.choices
    const [call] = choice?.message.tool_calls ?? []
    if (choice?.finish_reason !== 'tool_calls' || call?.type !== 'function') return t.fail(JSON.stringify(choice))
    const { city, days } = JSON.parse(call.function.arguments) as Weather
    t.true(isWeather({ city, days }), call.function.arguments)
    const { prompt_tokens, completion_tokens, prompt_tokens_details } = answer.usage ?? { prompt_tokens: 0, completion_tokens: 0 }
    const reused = prompt_tokens_details?.cached_tokens ?? 0
    // The end token is counted, and stands in the template.
    t.true(reused >= before - 2, `turn ${turn}: ${reused} of ${before}`)
    before = prompt_tokens + completion_tokens - 1
    const rewritten = { ...call, function: { name: call.function.name, arguments: `{ "days":${days},\n"city": ${JSON.stringify(city)} }` } }
    messages.push({ role: 'assistant', content: null, tool_calls: [rewritten] })
    messages.push({ role: 'tool', tool_call_id: call.id, content: `{"sky": "clear", "degrees": ${20 + turn}}` }, { role: 'user', content: `And in city number ${turn}?` })
  }
  t.is(await server.stop(), 0)
})

modelTest('Anthropic’s Messages and OpenAI’s Responses call a tool and go on from its result', async (t) => {
  const server = await TestServer.start({ args: [...SIZES, '--served-model-name', 'claude-local'] })
  const anthropic = new Anthropic({ baseURL: server.url, apiKey: 'none' })
  const tools = [{ name: TOOL.name, description: TOOL.description, input_schema: PARAMETERS as Anthropic.Tool.InputSchema }]
  const asked: Anthropic.MessageParam = { role: 'user', content: 'The weather in Oslo for two days, please.' }
  const first = await anthropic.messages
    .stream({ model: 'claude-local', max_tokens: 120, messages: [asked], tools, tool_choice: { type: 'any', disable_parallel_tool_use: true } })
    .finalMessage()
  const [use] = first.content
  if (first.stop_reason !== 'tool_use' || use?.type !== 'tool_use') return t.fail(JSON.stringify(first))
  t.true(isWeather(use.input as Weather), JSON.stringify(use.input))
  const result: Anthropic.MessageParam = { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'sunny' }] }
  const next = await anthropic.messages.create({ model: 'claude-local', max_tokens: 16, messages: [asked, { role: 'assistant', content: first.content }, result], tools })
  const known = first.usage.input_tokens + (first.usage.cache_read_input_tokens ?? 0) + first.usage.output_tokens - 1
  t.true((next.usage.cache_read_input_tokens ?? 0) >= known - 2, `${next.usage.cache_read_input_tokens} of ${known}`)

  const { client: openai } = server
  const called = await openai.responses.create({
    model: 'claude-local',
    input: 'The weather in Bern for four days, please.',
    tools: [{ type: 'function', ...TOOL, strict: true }],
    tool_choice: 'required',
    parallel_tool_calls: false,
    temperature: 0.2,
    max_output_tokens: 120,
  })
  const [item] = called.output
  if (item?.type !== 'function_call') return t.fail(JSON.stringify(called.output))
  t.true(isWeather(JSON.parse(item.arguments) as Weather), item.arguments)
  const went = await openai.responses.create({
    model: 'claude-local',
    previous_response_id: called.id,
    input: [{ type: 'function_call_output', call_id: item.call_id, output: 'rain' }],
    temperature: 0.2,
    max_output_tokens: 16,
  })
  t.true(went.output_text.length > 0)
  t.is(await server.stop(), 0)
})
