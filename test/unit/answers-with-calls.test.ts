// Answers with reasoning and calls, from a scripted engine to what a surface reads.

import test from 'ava'
import { scripted } from '../../ts/engine/simulated/scripted.js'
import type { ToolDefinition, TurnEvent, TurnRequest, TurnTools } from '../../ts/service/types.js'
import { chat, simulatedService } from '../support/simulated-service.js'

const weather: ToolDefinition = { name: 'get_weather', parameters: { type: 'object' }, strict: false }
const tools: TurnTools = { definitions: [weather], choice: 'auto', parallel: true }
const ANSWER = '<think>Rome.</think>I look. <tool_call>get_weather{"city": "Rome"}</tool_call>'

/** The events of a turn whose answer is `answer`, read as they come. */
async function eventsOf(answer: string, rest: Partial<TurnRequest>): Promise<TurnEvent[]> {
  const served = simulatedService({ recorded: scripted(() => answer) })
  const turn = await served.service.start(chat([{ role: 'user', content: 'Weather?' }], { maxTokens: 200, ...rest }))
  const events: TurnEvent[] = []
  for await (const event of turn) events.push(event)
  await served.close()
  return events
}

/** Texts by kind, joined. */
function joined(events: readonly TurnEvent[], type: 'delta' | 'reasoning' | 'arguments'): string {
  return events.map(event => (event.type === type ? event.text : '')).join('')
}

function doneOf(events: readonly TurnEvent[]): Extract<TurnEvent, { type: 'done' }> {
  const last = events.at(-1)
  if (last?.type !== 'done') throw new Error('the turn has no end')
  return last
}

test('reasoning, content and calls come apart, and the answer ends with its calls', async t => {
  const events = await eventsOf(ANSWER, { tools })
  t.is(joined(events, 'reasoning'), 'Rome.')
  t.is(joined(events, 'delta'), 'I look. ')
  t.is(joined(events, 'arguments'), '{"city": "Rome"}')
  const calls = events.filter(event => event.type === 'call')
  t.is(calls.length, 1)
  t.like(calls[0], { name: 'get_weather' })
  const done = doneOf(events)
  t.is(done.finish, 'tool_calls')
  t.true((done.usage.reasoningTokens ?? 0) > 0)
  t.true((done.usage.reasoningTokens ?? 0) < done.usage.completionTokens)
})

test('arguments stream: they come in more than one event', async t => {
  const events = await eventsOf(ANSWER, { tools })
  t.true(events.filter(event => event.type === 'arguments').length > 1)
})

test('without tools, or where none may be called, the markers of calls are content', async t => {
  for (const rest of [{}, { tools: { ...tools, choice: 'none' as const } }]) {
    const events = await eventsOf(ANSWER, rest)
    t.is(joined(events, 'delta'), 'I look. <tool_call>get_weather{"city": "Rome"}</tool_call>')
    t.is(doneOf(events).finish, 'stop')
  }
})

test('a raw prompt has an answer of content alone', async t => {
  const events = await eventsOf(ANSWER, { prompt: { kind: 'text', text: 'Weather?' } })
  t.is(joined(events, 'delta'), ANSWER)
  t.is(doneOf(events).usage.reasoningTokens, 0)
})

test('an answer that its limit ends keeps that reason, also after a call', async t => {
  const events = await eventsOf(ANSWER, { tools, maxTokens: 60 })
  t.is(doneOf(events).finish, 'length')
})

test('stop strings count outside of reasoning', async t => {
  const events = await eventsOf(ANSWER, { tools, stop: ['Rome', 'look'] })
  t.is(joined(events, 'reasoning'), 'Rome.')
  t.is(joined(events, 'delta'), 'I ')
  t.like(doneOf(events), { finish: 'stop', stopReason: 'look' })
})
