import test from 'ava'
import { ApiError } from '../../ts/protocol/errors.js'
import { openTestApi } from './support/api.js'
import { delta, done } from './support/fake-service.js'
import { FakeTerminal } from './support/terminal.js'

test('each line is a turn over the whole history, with its times and sources', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const terminal = new FakeTerminal()
  terminal.type('Hi', '', 'And you?', '/quit', 'never asked')
  t.is(await terminal.run('chat', '--url', `${api.url}/v1`, '--system', 'be kind', '--temperature', '0', '--max-tokens', '9', '--seed', '4', '--truncation', 'auto'), 0)
  t.is(api.service.turns.length, 2)
  const { prompt, sampling, maxTokens, truncation } = api.service.lastRequest
  t.is(truncation, 'auto')
  t.deepEqual(prompt, {
    kind: 'chat',
    messages: [
      { role: 'system', content: 'be kind' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello you' },
      { role: 'user', content: 'And you?' },
    ],
  })
  t.like(sampling, { temperature: 0, topP: 0.95, seed: 4n })
  t.is(maxTokens, 9)
  const line = /^Hello you\n\[first token after \d+ ms; prompt 100 tokens: 64 hbm, 16 dram, 8 ssd, 12 computed; answer 5 tokens\]\n/
  t.regex(terminal.stdout, line)
})

test('a failed turn is said and leaves the conversation as it was', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  let turns = 0
  api.service.answer = () => (turns++ === 0 ? new ApiError('queue_full', 'come back later') : [delta('Yes'), done()])
  const terminal = new FakeTerminal()
  terminal.type('first', 'second')
  t.is(await terminal.run('chat', '--url', api.url), 0)
  t.regex(terminal.stderr, /come back later/)
  t.deepEqual(api.service.lastRequest.prompt, { kind: 'chat', messages: [{ role: 'user', content: 'second' }] })
})

test('a server that cannot be reached is named, exit 3', async (t) => {
  const api = await openTestApi()
  await api.close()
  const terminal = new FakeTerminal()
  terminal.type('Hi')
  t.is(await terminal.run('chat', '--url', api.url), 3)
  t.true(terminal.stderr.includes(api.url))
})

test('a signal ends the conversation in the middle of an answer', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = () => [delta('Hel')]
  const terminal = new FakeTerminal()
  const ended = terminal.run('chat', '--url', api.url)
  terminal.input.write('Hi\n')
  await terminal.shows(/Hel/)
  terminal.stop()
  t.is(await ended, 0)
  await api.service.turns[0]?.cancelled
  t.is(terminal.stderr, '')
})

test('options of a server do not go with the URL of another', async (t) => {
  const terminal = new FakeTerminal()
  t.is(await terminal.run('chat', '--url', 'http://localhost:1', '--no-reuse'), 2)
  t.regex(terminal.stderr, /--no-reuse/)
})

test('without a URL the server runs in this process', async (t) => {
  const terminal = new FakeTerminal({ HOME: 'no-such-home' })
  terminal.type('Hi', 'Again')
  const args = ['--device', 'simulated', '--no-reuse', '--hbm-bytes', '32MiB', '--max-tokens', '3', '--temperature', '0']
  t.is(await terminal.run('chat', ...args), 0)
  t.is([...terminal.stdout.matchAll(/^\[first token after \d+ ms; prompt \d+ tokens: \d+ computed; answer 3 tokens\]$/gm)].length, 2)
})
