// Vercel's AI SDK, by each of its providers that speaks one of our formats: OpenAI's default one (Responses), OpenAI's for
// chats, the one for compatible servers, and Anthropic's.

import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { type APICallError, generateText, jsonSchema, type LanguageModel, Output, stepCountIs, streamText, tool, type ToolSet } from 'ai'
import test from 'ava'
import { z } from 'zod'
import { ADA, BERGEN, FAMILIES, FAMILY, HELLO, OSLO, THOUGHT, WEATHER, type Family } from './support.js'

const PROVIDERS: Readonly<Record<string, (family: Family, apiKey?: string) => LanguageModel>> = {
  'the default provider': ({ name, url, key }, apiKey = key) => createOpenAI({ baseURL: `${url}/v1`, apiKey })(name),
  'chats of OpenAI': ({ name, url, key }, apiKey = key) => createOpenAI({ baseURL: `${url}/v1`, apiKey }).chat(name),
  'compatible servers': ({ name, url, key }, apiKey = key) =>
    createOpenAICompatible({ name: 'local', baseURL: `${url}/v1`, apiKey, includeUsage: true, supportsStructuredOutputs: true })(name),
  'Anthropic': ({ name, url, key }, apiKey = key) => createAnthropic({ baseURL: `${url}/v1`, apiKey })(name),
}

const schema = z.object({ name: z.string(), age: z.number() })

function weatherTool(asked: unknown[]) {
  return tool({
    description: 'The weather of a city',
    inputSchema: jsonSchema(WEATHER as Parameters<typeof jsonSchema>[0]),
    execute: async (input: unknown) => {
      asked.push(input)
      return { weather: 'Cold.' }
    },
  })
}

for (const [provider, modelOf] of Object.entries(PROVIDERS)) {
  // Chats of OpenAI and of compatible servers are one format: one of the two meets every family.
  for (const family of provider === 'chats of OpenAI' ? [FAMILY] : FAMILIES) {
    const model = modelOf(family)
    const title = `${provider}, ${family.name}`

    test(`${title}: a text, whole and as a stream`, async (t) => {
      const { text, finishReason, usage } = await generateText({ model, prompt: 'Say hello.', maxRetries: 0 })
      t.deepEqual([text, finishReason], [HELLO, 'stop'])
      t.true((usage.outputTokens ?? 0) > 5)
      const streamed = streamText({ model, prompt: 'Say hello.', maxRetries: 0 })
      t.is(await streamed.text, HELLO)
      t.is((await streamed.totalUsage).outputTokens, usage.outputTokens)
    })

    test(`${title}: tools that the SDK runs, in steps, whole and as a stream`, async (t) => {
      const isOne = family.format === 'harmony' || !family.parallel
      const prompt = isOne ? 'What is the weather in Oslo?' : 'What is the weather in Oslo and in Bergen?'
      const expected = isOne ? [OSLO] : [OSLO, BERGEN]
      const asked: unknown[] = []
      const whole = await generateText({ model, prompt, tools: { get_weather: weatherTool(asked) }, stopWhen: stepCountIs(3), maxRetries: 0 })
      t.deepEqual(asked, expected)
      t.regex(whole.text, /^I was told: .*Cold\./)
      t.is(whole.steps.length, 2)
      const again: unknown[] = []
      const stream = streamText({ model, prompt, tools: { get_weather: weatherTool(again) }, stopWhen: stepCountIs(3), maxRetries: 0 })
      let pieces = 0
      for await (const part of stream.fullStream) if (part.type === 'tool-input-delta') pieces++
      t.deepEqual(again, expected)
      t.true(pieces > 3)
      t.regex(await stream.text, /^I was told: .*Cold\./)
    })

    test(`${title}: an object of a schema`, async (t) => {
      const { output } = await generateText({ model, prompt: 'Who is Ada?', output: Output.object({ schema }), maxRetries: 0 })
      t.deepEqual(output, ADA)
      const stream = streamText({ model, prompt: 'Who is Ada?', output: Output.object({ schema }), maxRetries: 0 })
      t.deepEqual(await stream.output, ADA)
    })
  }

  test(`${provider}: a tool that is forced`, async (t) => {
    // Not run here: the client gets the call.
    const tools: ToolSet = { get_weather: { inputSchema: jsonSchema(WEATHER as Parameters<typeof jsonSchema>[0]) } }
    for (const toolChoice of ['required', { type: 'tool', toolName: 'get_weather' }] as const) {
      const { toolCalls } = await generateText({ model: modelOf(FAMILY), prompt: 'What is the weather in Oslo?', tools, toolChoice, maxRetries: 0 })
      t.deepEqual(toolCalls.map(({ input }) => input), [OSLO])
    }
  })

  test(`${provider}: errors have their status`, async (t) => {
    const status = async (model: LanguageModel, prompt = 'Say hello.') =>
      (await t.throwsAsync<APICallError>(generateText({ model, prompt, maxRetries: 0 }))).statusCode
    t.is(await status(modelOf(FAMILY, 'wrong')), 401)
    t.is(await status(modelOf({ ...FAMILY, name: 'another' })), 404)
    t.is(await status(modelOf(FAMILY), 'Be busy.'), 429)
  })
}

for (const family of FAMILIES.filter(({ reasons }) => reasons)) {
  for (const [provider, modelOf] of Object.entries(PROVIDERS)) {
    // OpenAI's provider for chats reads no reasoning: that API does not tell it.
    if (provider === 'chats of OpenAI') continue
    test(`${provider}, ${family.name}: reasoning beside the text`, async (t) => {
      const { text, reasoningText } = await generateText({ model: modelOf(family), prompt: 'Think first.', maxRetries: 0 })
      t.is(text, 'Four.')
      // Responses tell a summary to this provider, which the server has none of.
      if (provider !== 'the default provider') t.is(reasoningText, THOUGHT)
    })
  }
}
