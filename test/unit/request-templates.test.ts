// Templates that come with requests: what was stored under one is not found under another, nor under the model's own.

import test from 'ava'
import { ApiError, EngineError } from '../../ts/protocol/errors.js'
import type { TurnMessage } from '../../ts/service/types.js'
import { ask, chat, simulatedService } from '../support/simulated-service.js'

const question: TurnMessage = { role: 'user', content: 'Describe the harbour.' }

test('stored answers of one template are found under that template alone', async (t) => {
  const { service, engine, close } = simulatedService()
  t.teardown(close)
  const encodeChat = engine.text.encodeChat.bind(engine.text)
  let found: boolean | undefined
  engine.text.encodeChat = async (text, ...rest) => {
    found = text.messages.some(({ stored }) => stored !== undefined)
    return encodeChat(text, ...rest)
  }
  const templates = [undefined, '{{ one }}', '{{ two }}'].map((chatTemplate) => (chatTemplate === undefined ? {} : { chatTemplate }))
  for (const template of templates) {
    const { text, usage } = await ask(service, chat([question], template))
    const history: TurnMessage[] = [question, { role: 'assistant', content: text }, { role: 'user', content: 'And then?' }]
    for (const other of templates) {
      const turn = await service.start(chat(history, other))
      t.is(found, other === template, JSON.stringify([template, other]))
      t.is(turn.conversation === usage.conversation, other === template)
      turn.cancel()
    }
  }
})

test('the template is what the chat is rendered with, and what it refuses is told of it', async (t) => {
  const { service, engine, close } = simulatedService()
  t.teardown(close)
  const chatTemplate = '{{ messages }}'
  const count = await service.countPrompt(chat([question]))
  t.true((await service.countPrompt(chat([question], { chatTemplate }))) > count)
  const tokens = await service.tokenizeChat({ messages: [question], ending: 'answer', chatTemplate }, 1000)
  t.is(tokens.length, await service.countPrompt(chat([question], { chatTemplate })))
  engine.text.encodeChat = async () => {
    throw new EngineError('template_failed', 'the chat template failed: unknown filter', {})
  }
  const refused = await t.throwsAsync<ApiError>(service.start(chat([question], { chatTemplate })), { instanceOf: ApiError })
  t.like(refused, { code: 'invalid_value', param: 'chat_template', message: 'chat_template: the chat template failed: unknown filter' })
  t.like(await t.throwsAsync(service.start(chat([question]))), { param: 'messages' })
  t.like(await t.throwsAsync(service.tokenizeChat({ messages: [question], ending: 'answer', chatTemplate }, 1000)), { param: 'chat_template' })
  t.like(await t.throwsAsync(service.countPrompt(chat([question], { messagesField: 'input' }))), { param: 'input' })
})
