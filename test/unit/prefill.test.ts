// Answers that go on with a message of the client: the record, the chain and the reuse are of the whole message.

import test from 'ava'
import { scripted } from '../../ts/engine/simulated/scripted.js'
import type { SequenceSpec } from '../../ts/engine/types.js'
import type { TurnMessage, TurnRequest } from '../../ts/service/types.js'
import { ask, chat, reusedTokens, simulatedService, type SimulatedService } from '../support/simulated-service.js'

const ANSWER = 24
const user = (content: string): TurnMessage => ({ role: 'user', content })
const assistant = (content: string, more: Partial<TurnMessage> = {}): TurnMessage => ({ role: 'assistant', content, ...more })
const question = user('Describe the harbour of the old town at some length, please.')

const opened = (messages: readonly TurnMessage[], rest: Partial<TurnRequest> = {}): TurnRequest =>
  chat([], { maxTokens: ANSWER, ignoreEos: true, ...rest, prompt: { kind: 'chat', messages: [...messages], ending: 'open' } })

/** A model that says the same of every prompt, and something else where it goes on with a message. */
function service(): SimulatedService {
  const said = ({ prefill = 0 }: SequenceSpec): string => (prefill > 0 ? ' grey in the morning, and full of boats by noon.' : 'It lies between two hills and looks to the west, where ships come from.')
  return simulatedService({ recorded: scripted(said) })
}

/** The specs of all sequences that the engine is given. */
function specsOf({ engine }: SimulatedService): SequenceSpec[] {
  const specs: SequenceSpec[] = []
  const addSequence = engine.addSequence.bind(engine)
  engine.addSequence = (spec) => {
    specs.push(spec)
    addSequence(spec)
  }
  return specs
}

test('a message that the answer went on with is one answer in the next turn: prompt and answer are reused but for two tokens', async (t) => {
  const served = service()
  t.teardown(served.close)
  const first = await ask(served.service, opened([question, assistant('The harbour is')]))
  const whole = assistant(`The harbour is${first.text}`)
  const next = await ask(served.service, chat([question, whole, user('And at night?')]))
  t.true(reusedTokens(next.usage) >= first.usage.promptTokens + ANSWER - 2, JSON.stringify([first.usage, next.usage]))
  t.is(next.usage.conversation, first.usage.conversation, 'it goes on with the conversation')
  t.is(first.usage.completionTokens, ANSWER)
})

test('an answer that was cut by its limit is gone on with, again and again, and stays one answer', async (t) => {
  const served = service()
  t.teardown(served.close)
  const first = await ask(served.service, chat([question], { maxTokens: ANSWER, ignoreEos: true }))
  let text = first.text
  let { usage } = first
  for (let turn = 0; turn < 3; turn++) {
    const more = await ask(served.service, opened([question, assistant(text)]))
    t.true(reusedTokens(more.usage) >= usage.promptTokens + ANSWER - 2, `turn ${turn}`)
    t.is(more.usage.promptTokens, usage.promptTokens + ANSWER, 'the tokens of the answer stand as they were generated')
    t.is(more.usage.conversation, first.usage.conversation)
    text += more.text
    usage = more.usage
  }
  const next = await ask(served.service, chat([question, assistant(text), user('And at night?')]))
  t.true(reusedTokens(next.usage) >= usage.promptTokens + ANSWER - 2)
})

test('the beginning of a stored answer that the client kept is gone on with, and both answers are known', async (t) => {
  const served = service()
  t.teardown(served.close)
  const first = await ask(served.service, chat([question], { maxTokens: ANSWER, ignoreEos: true }))
  const kept = first.text.slice(0, 9)
  const second = await ask(served.service, opened([question, assistant(kept)]))
  t.not(kept + second.text, first.text)
  for (const [text, usage] of [[first.text, first.usage], [kept + second.text, second.usage]] as const) {
    const next = await ask(served.service, chat([question, assistant(text), user('And at night?')]))
    t.true(reusedTokens(next.usage) >= usage.promptTokens + ANSWER - 2, text)
  }
})

test('answers before the message that is gone on with keep their tokens', async (t) => {
  const served = service()
  t.teardown(served.close)
  const first = await ask(served.service, chat([question], { maxTokens: ANSWER, ignoreEos: true }))
  const history = [question, assistant(first.text), user('And at night?')]
  const second = await ask(served.service, opened([...history, assistant('At night')]))
  t.true(reusedTokens(second.usage) >= first.usage.promptTokens + ANSWER - 2)
  const third = await ask(served.service, chat([...history, assistant(`At night${second.text}`), user('So?')]))
  t.true(reusedTokens(third.usage) >= second.usage.promptTokens + ANSWER - 2)
})

test('the record is of both parts, and its hash is that of the joined message', async (t) => {
  const served = service()
  t.teardown(served.close)
  const specs = specsOf(served)
  const first = await ask(served.service, opened([question, assistant('The harbour is')]))
  t.true(' grey in the morning, and full of boats by noon.'.startsWith(first.text))
  const [spec] = specs
  const begun = spec?.tokens.slice(-(spec.prefill ?? 0)) ?? []
  t.is(await served.engine.text.decode(Uint32Array.from(begun)), 'The harbour is')
  const { encodeChat } = served.engine.text
  let stored: Uint32Array | undefined
  served.engine.text.encodeChat = async function (this: unknown, ...args) {
    stored = args[0].messages[1]?.stored?.tokens
    return encodeChat.apply(served.engine.text, args)
  }
  await ask(served.service, chat([question, assistant(`The harbour is${first.text}`), user('And?')]))
  t.deepEqual([...(stored ?? [])], [...begun, ...first.tokens])
  await ask(served.service, chat([question, assistant(first.text), user('And?')]))
  t.is(stored, undefined, 'the rest alone is another message')
})

test('reasoning that the client began goes on as reasoning, and is told as far as it is new', async (t) => {
  const script = ' is enough.</think>It is.'
  const served = simulatedService({ recorded: scripted(() => script) })
  t.teardown(served.close)
  const turn = await served.service.start(opened([question, assistant('<think>One ship')], { ignoreEos: false, maxTokens: 200 }))
  const told = { reasoning: '', delta: '' }
  let reasoned = -1
  for await (const event of turn) {
    if (event.type === 'done') reasoned = event.usage.reasoningTokens ?? 0
    else if (event.type === 'delta' || event.type === 'reasoning') told[event.type] += event.text
  }
  t.deepEqual(told, { reasoning: ' is enough.', delta: 'It is.' })
  t.true(reasoned > 0 && reasoned < ' is enough.</think>'.length + 1, `${reasoned}`)
})

test('a prompt that ends closed has no beginning of an answer', async (t) => {
  const served = service()
  t.teardown(served.close)
  const specs = specsOf(served)
  const messages = [question]
  await ask(served.service, chat([], { prompt: { kind: 'chat', messages, ending: 'closed' } }))
  await ask(served.service, chat(messages))
  const [closed, answered] = await Promise.all(specs.map(({ tokens }) => served.engine.text.decode(tokens)))
  t.true(closed?.endsWith('please.<|im_end|>\n'))
  t.is(answered, `${closed}<|im_start|>assistant\n`)
})
