// Messages by Anthropic's client for Node, against each family's own form of output.

import Anthropic, { type APIError } from '@anthropic-ai/sdk'
import test from 'ava'
import { ADA, anthropic, BERGEN, FAMILIES, FAMILY, HELLO, OSLO, PERSON, THOUGHT, WEATHER } from './support.js'

const max_tokens = 500
const tools: Anthropic.Tool[] = [{ name: 'get_weather', description: 'The weather of a city', input_schema: WEATHER as Anthropic.Tool.InputSchema }]

function asking(content: string): Anthropic.MessageParam[] {
  return [{ role: 'user', content }]
}

function textOf({ content }: Anthropic.Message): string {
  return content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('')
}

function inputsOf({ content }: Anthropic.Message): unknown[] {
  return content.flatMap((block) => (block.type === 'tool_use' ? [block.input] : []))
}

for (const family of FAMILIES) {
  const client = anthropic(family)
  const model = family.name

  test(`${model}: a message, whole and as a stream, is the text that the model said`, async (t) => {
    const whole = await client.messages.create({ model, max_tokens, messages: asking('Say hello.') })
    t.is(textOf(whole), HELLO)
    t.is(whole.stop_reason, 'end_turn')
    const stream = client.messages.stream({ model, max_tokens, messages: asking('Say hello.') })
    let text = ''
    stream.on('text', (delta) => (text += delta))
    t.is(await stream.finalText(), HELLO)
    t.is(text, HELLO)
  })

  test(`${model}: a tool is used, its result sent back, and the answer to it reuses the history`, async (t) => {
    const messages = asking('What is the weather in Oslo?')
    const first = await client.messages.create({ model, max_tokens, messages, tools })
    t.deepEqual(inputsOf(first), [OSLO])
    t.is(first.stop_reason, 'tool_use')
    const use = first.content.find(({ type }) => type === 'tool_use') as Anthropic.ToolUseBlock
    messages.push({ role: 'assistant', content: first.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'Cold.' }] })
    const second = await client.messages.create({ model, max_tokens, messages, tools })
    t.regex(textOf(second), /^I was told: .*Cold\./)
    t.true((second.usage.cache_read_input_tokens ?? 0) >= 64)
  })

  test(`${model}: a stream of tools gives inputs piece by piece, one block at a time`, async (t) => {
    const stream = client.messages.stream({ model, max_tokens, messages: asking('What is the weather in Oslo and in Bergen?'), tools })
    let [pieces, open] = [0, -1]
    for await (const event of stream) {
      if (event.type === 'content_block_start') {
        t.is(open, -1)
        open = event.index
      }
      if (event.type === 'content_block_delta') {
        t.is(event.index, open)
        if (event.delta.type === 'input_json_delta') pieces++
      }
      if (event.type === 'content_block_stop') open = -1
    }
    t.deepEqual(inputsOf(await stream.finalMessage()), family.format === 'harmony' ? [OSLO] : [OSLO, BERGEN])
    t.true(pieces > 3)
  })

  test(`${model}: a tool that must be used, and structured output`, async (t) => {
    const messages = asking('Who is Ada?')
    const forced = { name: 'person', input_schema: PERSON as Anthropic.Tool.InputSchema }
    for (const tool_choice of [{ type: 'any' }, { type: 'tool', name: 'person' }] as const) {
      t.deepEqual(inputsOf(await client.messages.create({ model, max_tokens, messages, tools: [forced], tool_choice })), [ADA])
    }
    const format = { type: 'json_schema' as const, schema: PERSON }
    const answer = await client.messages.create({ model, max_tokens, messages, output_config: { format } })
    t.deepEqual(JSON.parse(textOf(answer)), ADA)
  })

  test(`${model}: tokens are counted as the message then has them`, async (t) => {
    const request = { model, system: 'Be brief.', messages: asking('Say hello.'), tools }
    const { input_tokens } = await client.messages.countTokens(request)
    const { usage } = await client.messages.create({ ...request, max_tokens })
    t.is(input_tokens, usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0))
  })
}

for (const family of FAMILIES.filter(({ reasons }) => reasons)) {
  test(`${family.name}: thinking is a block before the text, and is taken back`, async (t) => {
    const client = anthropic(family)
    const messages = asking('Think first.')
    const stream = client.messages.stream({ model: family.name, max_tokens, messages, thinking: { type: 'adaptive' } })
    let thought = ''
    stream.on('thinking', (delta) => (thought += delta))
    const answer = await stream.finalMessage()
    t.deepEqual(answer.content.map(({ type }) => type), ['thinking', 'text'])
    t.like(answer.content[0], { thinking: THOUGHT })
    t.is(thought, THOUGHT)
    messages.push({ role: 'assistant', content: answer.content }, ...asking('Say hello.'))
    t.is(textOf(await client.messages.create({ model: family.name, max_tokens, messages })), HELLO)
  })
}

test('a message ends at a stop sequence and at its limit, and says which', async (t) => {
  const client = anthropic(FAMILY)
  const messages = asking('Keep talking.')
  const stopped = await client.messages.create({ model: FAMILY.name, max_tokens, messages, stop_sequences: ['Line 3'] })
  t.like(stopped, { stop_reason: 'stop_sequence', stop_sequence: 'Line 3' })
  const cut = await client.messages.create({ model: FAMILY.name, max_tokens: 5, messages })
  t.like(cut, { stop_reason: 'max_tokens', usage: { output_tokens: 5 } })
})

test('errors are the client’s own classes, with a request id', async (t) => {
  const ask = (client: Anthropic, changes: object = {}) =>
    t.throwsAsync<APIError>(client.messages.create({ model: FAMILY.name, max_tokens, messages: asking('Say hello.'), ...changes }))
  const client = anthropic(FAMILY)
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } }
  const errors = [
    [await ask(client, { messages: [{ role: 'user', content: [image] }] }), Anthropic.BadRequestError, 'invalid_request_error'],
    [await ask(anthropic(FAMILY, 'wrong')), Anthropic.AuthenticationError, 'authentication_error'],
    [await ask(client, { model: 'another' }), Anthropic.NotFoundError, 'not_found_error'],
    [await ask(client, { messages: asking('Be busy.') }), Anthropic.RateLimitError, 'rate_limit_error'],
  ] as const
  for (const [error, kind, type] of errors) {
    t.true(error instanceof kind, type)
    t.like(error.error, { type: 'error', error: { type } })
    t.truthy(error.requestID)
  }
})
