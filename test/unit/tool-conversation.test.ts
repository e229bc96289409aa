// Five turns with tools, through the service: each turn reuses the prompt and the answer of the one before.

import test, { type ExecutionContext } from 'ava'
import { scripted } from '../../ts/engine/simulated/scripted.js'
import type { ToolCall, ToolDefinition, TurnMessage, TurnRequest } from '../../ts/service/types.js'
import { chat, reusedTokens, simulatedService, type SimulatedService } from '../support/simulated-service.js'

const definitions: readonly ToolDefinition[] = ['get_weather', 'now'].map((name) => ({ name, parameters: { type: 'object' }, strict: false }))
const tools = { definitions, choice: 'auto', parallel: true } as const

/** Calls of each turn: a name, its arguments as the model writes them, and as the client sends them back. */
const TURNS: ReadonlyArray<ReadonlyArray<readonly [name: string, written: string, sent: string]>> = [
  [['get_weather', '{"city": "Zürich", "days": 3}', '{"days":3.0,"city":"Z\\u00fcrich"}']],
  [
    ['get_weather', '{"nested": {"b": [1, 2.50, -1e3], "a": {"deep": null}}}', '{"nested":{"a":{"deep":null},"b":[1.0,2.5,-1000]}}'],
    ['now', '{}', ''],
  ],
  [['now', '{"text": "日本 \\"quoted\\" <|im_end|>"}', '{ "text" : "\\u65e5本 \\"quoted\\" <|im_end|>" }']],
  [['get_weather', '{"id": 12345678901234567890}', '{"id":12345678901234567890}']],
  [],
]

const answerOf = (turn: number, reasons: boolean): string => {
  const calls = (TURNS[turn] ?? []).map(([name, written]) => `<tool_call>${name}${written}</tool_call>`)
  return `${reasons ? `<think>Thought ${turn}.</think>` : ''}Step ${turn}.${calls.join('')}`
}

interface Heard {
  readonly message: TurnMessage
  readonly answered: number
  readonly prompt: number
  readonly reused: number
  readonly dropped: number
}

/** One turn, and its answer as the client sends it back: `calls` with other arguments, ids of its own. */
async function take(served: SimulatedService, request: TurnRequest, sent: readonly string[], sendsReasoning: boolean): Promise<Heard> {
  let [content, reasoning] = ['', '']
  const calls: ToolCall[] = []
  for await (const event of await served.service.start(request)) {
    if (event.type === 'delta') content += event.text
    else if (event.type === 'reasoning') reasoning += event.text
    else if (event.type === 'call') calls.push({ id: `mine_${calls.length}`, name: event.name, arguments: sent[calls.length] ?? '' })
    else if (event.type === 'done') {
      const { promptTokens, completionTokens, missedTokens } = event.usage
      const message = { role: 'assistant', content, ...(calls.length > 0 ? { toolCalls: calls } : {}), ...(sendsReasoning && reasoning ? { reasoning } : {}) }
      return { message, answered: completionTokens, prompt: promptTokens, reused: reusedTokens(event.usage), dropped: missedTokens.reasoningDropped }
    }
  }
  throw new Error('the turn has no end')
}

async function converse(t: ExecutionContext, reasons: boolean, sendsReasoning: boolean): Promise<Heard[]> {
  let turn = 0
  const served = simulatedService({ recorded: scripted(() => answerOf(turn, reasons)) })
  const messages: TurnMessage[] = [{ role: 'user', content: 'What is the weather like where it rains most?' }]
  const heard: Heard[] = []
  for (; turn < TURNS.length; turn++) {
    const calls = TURNS[turn] ?? []
    heard.push(await take(served, chat(messages, { tools, maxTokens: 400 }), calls.map(([, , sent]) => sent), sendsReasoning))
    messages.push((heard.at(-1) as Heard).message)
    messages.push(...calls.map((_, i): TurnMessage => ({ role: 'tool', content: `{"result": ${i}}`, toolCallId: `mine_${i}` })))
  }
  t.is(heard.length, TURNS.length)
  await served.close()
  return heard
}

test('a five-turn conversation with tools reuses prompt and answer of the turn before', async (t) => {
  const heard = await converse(t, false, false)
  heard.slice(1).forEach(({ reused }, i) => {
    const before = heard[i] as Heard
    t.true(reused >= before.prompt + before.answered - 2, `turn ${i + 1}: ${reused} of ${before.prompt} + ${before.answered}`)
  })
})

test('so does one with reasoning that the client sends back', async (t) => {
  const heard = await converse(t, true, true)
  heard.slice(1).forEach(({ reused, dropped }, i) => {
    const before = heard[i] as Heard
    t.true(reused >= before.prompt + before.answered - 2, `turn ${i + 1}: ${reused} of ${before.prompt} + ${before.answered}`)
    t.is(dropped, 0)
  })
})

test('one whose client leaves reasoning out reuses the prompt of the turn before, and says why no more', async (t) => {
  const heard = await converse(t, true, false)
  heard.slice(1).forEach(({ reused, dropped }, i) => {
    const before = heard[i] as Heard
    t.true(reused >= before.prompt - 1 && reused < before.prompt + before.answered - 2, `turn ${i + 1}: ${reused}`)
    t.true(dropped > 0 && dropped < before.answered, `turn ${i + 1}: ${dropped}`)
  })
})

test('turns that allow other tools share the prompt, and those that allow some only are held to them', async (t) => {
  const served = simulatedService({ recorded: scripted(() => 'Step.') })
  const compiled = () => served.engine.stats().grammarsCompiled
  const messages: TurnMessage[] = [{ role: 'user', content: 'What is the weather like, and what time is it? '.repeat(10) }]
  let before = await take(served, chat(messages, { tools, maxTokens: 400 }), [], false)
  t.is(compiled(), 0)
  for (const [allowed, grammars] of [[['now'], 1], [['now', 'get_weather'], 1], [['get_weather'], 2]] as const) {
    messages.push(before.message, { role: 'user', content: 'And now?' })
    const heard = await take(served, chat(messages, { tools: { ...tools, allowed }, maxTokens: 400 }), [], false)
    t.true(heard.reused >= before.prompt + before.answered - 2, `${heard.reused} of ${before.prompt} + ${before.answered}`)
    t.is(compiled(), grammars, 'a list of all tools asks for nothing')
    before = heard
  }
  await served.close()
})

test('a call that must be made is one of an allowed tool', async (t) => {
  const served = simulatedService()
  for (const allowed of [['now'], ['get_weather']]) {
    const asked = chat([{ role: 'user', content: 'You must.' }], { tools: { ...tools, choice: 'required', parallel: false, allowed }, maxTokens: 400 })
    const { message } = await take(served, asked, ['{}'], false)
    t.deepEqual(message.toolCalls?.map(({ name }) => name), allowed)
  }
  await served.close()
})
