// Reasoning that comes back keeps the history; reasoning that was left out ends the reuse, and the usage says so.

import test from 'ava'
import { PromptTooLong } from '../../ts/engine/too-long.js'
import type { EngineEvent } from '../../ts/engine/types.js'
import type { TurnMessage } from '../../ts/service/types.js'
import { ask, chat, reusedTokens, simulatedService, type SimulatedService } from '../support/simulated-service.js'

/** The first tokens of every answer are its reasoning. */
const REASONING = 8
const ANSWER = 24

/** An engine that says so. */
function reasoningService(): SimulatedService {
  const served = simulatedService()
  const handle = served.engine.onEvents
  served.engine.onEvents = (events) => handle(events.map(withReasoning))
  return served
}

function withReasoning(event: EngineEvent): EngineEvent {
  if (event.kind !== 'step') return event
  return { ...event, rows: event.rows.map((row) => (row.finish === undefined ? row : { ...row, reasoningTokens: REASONING })) }
}

const user = (content: string): TurnMessage => ({ role: 'user', content })

async function firstTurn(served: SimulatedService) {
  const messages = [user('A question of some length, so that there are blocks to speak of.')]
  const { text, usage } = await ask(served.service, chat(messages, { maxTokens: ANSWER, ignoreEos: true }))
  return { messages, text, usage }
}

test('an answer whose reasoning the client sends back is reused to its last token', async (t) => {
  const served = reasoningService()
  const { messages, text, usage } = await firstTurn(served)
  const again = [...messages, { role: 'assistant', content: text, reasoning: 'as it was' }, user('And then?')]
  const next = await ask(served.service, chat(again))
  t.true(reusedTokens(next.usage) >= usage.promptTokens + ANSWER - 2)
  t.is(next.usage.missedTokens.reasoningDropped, 0)
  await served.close()
})

test('an answer whose reasoning was left out ends the reuse where the reasoning was, once, with a cause of its own', async (t) => {
  const served = reasoningService()
  const { messages, text, usage } = await firstTurn(served)
  const again = [...messages, { role: 'assistant', content: text }, user('And then?')]
  const next = await ask(served.service, chat(again, { maxTokens: ANSWER, ignoreEos: true }))
  t.is(reusedTokens(next.usage), usage.promptTokens)
  const { reasoningDropped, neverSeen } = next.usage.missedTokens
  t.is(reasoningDropped, ANSWER - REASONING)
  t.is(reasoningDropped + neverSeen, next.usage.computedTokens)
  t.is(served.service.counters().missedTokens.reasoningDropped, reasoningDropped)
  const third = await ask(served.service, chat([...again, { role: 'assistant', content: next.text, reasoning: 'as it was' }, user('So?')]))
  t.true(reusedTokens(third.usage) >= next.usage.promptTokens)
  t.is(third.usage.missedTokens.reasoningDropped, 0)
  await served.close()
})

test('a prompt has the tools of its turn and the template arguments of the turn and the server, the turn’s first', async (t) => {
  const served = simulatedService({}, { templateArguments: { effort: 'high', thinking: true } })
  const definitions = [{ name: 'look_up', description: 'Looks it up.', parameters: { type: 'object' }, strict: false }]
  const turn = chat([user('Hi')], { tools: { definitions, choice: 'auto', parallel: true }, templateArguments: { effort: 'low' } })
  const { text: engineText } = served.engine
  const encodeChat = engineText.encodeChat.bind(engineText)
  let tokens: Uint32Array | undefined
  engineText.encodeChat = async (...args) => {
    const encoded = await encodeChat(...args)
    tokens = encoded.tokens
    return encoded
  }
  await ask(served.service, turn)
  const { tools, templateArguments, prompt } = turn
  if (prompt.kind !== 'chat' || !tools || !templateArguments) throw new Error('no chat')
  const chatPrompt = { tools, templateArguments, messages: prompt.messages, ending: 'answer' } as const
  t.deepEqual(await served.service.tokenizeChat(chatPrompt, 1000), tokens)
  await t.throwsAsync(served.service.tokenizeChat(chatPrompt, 10), { instanceOf: PromptTooLong })
  const text = await served.engine.text.decode(tokens as Uint32Array)
  t.true(text.includes('"name":"look_up"') && text.includes('{"effort":"low","thinking":true}'), text)
  await served.close()
})

test('a turn with other tools finds nothing of the answers to the old ones, and still answers', async (t) => {
  const served = simulatedService()
  const tools = (name: string) => ({ tools: { definitions: [{ name, parameters: null, strict: false }], choice: 'auto' as const, parallel: true } })
  const { text, usage } = await ask(served.service, chat([user('Hi')], tools('one')))
  const next = [user('Hi'), { role: 'assistant', content: text }, user('more')]
  t.is((await ask(served.service, chat(next, tools('one')))).usage.conversation, usage.conversation)
  t.not((await ask(served.service, chat(next, tools('two')))).usage.conversation, usage.conversation)
  await served.close()
})
