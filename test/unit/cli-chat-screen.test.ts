// The chat as a person has it: keys, commands, a history of lines, an answer that is stopped.

import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { InputHistory } from '../../ts/cli/chat/input-history.js'
import { openTestApi, type TestApi } from './support/api.js'
import { delta, done } from './support/fake-service.js'
import { FakeTerminal } from './support/terminal.js'

const UP = '\u001B[A'
const LEFT = '\u001B[D'
const CTRL_C = '\u0003'
const CTRL_D = '\u0004'
const ENTER = '\r'

/** Made of many small answers: the n-th turn says `answer n`. */
async function openNumbered(t: ExecutionContext): Promise<TestApi> {
  const api = await openTestApi()
  t.teardown(() => api.close())
  let turns = 0
  api.service.answer = () => [delta(`answer ${++turns}`), done()]
  return api
}

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'attentionstore-chat-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function screen(home: string): FakeTerminal {
  return new FakeTerminal({ HOME: home, XDG_STATE_HOME: join(home, 'state') }, undefined, true)
}

const historyFile = (home: string) => join(home, 'state/attentionstore/chat-history')

const messagesOf = (api: TestApi) => {
  const { prompt } = api.service.lastRequest
  return prompt.kind === 'chat' ? prompt.messages.map(({ role, content }) => `${role}: ${content as string}`) : []
}

test('a chat sends the sampling that the server says suits chats, and its bound; options go before it', async (t) => {
  const api = await openTestApi({ generationChoice: 'openai' }, { defaults: {} })
  t.teardown(() => api.close())
  const terminal = new FakeTerminal()
  terminal.type('Hi')
  t.is(await terminal.run('chat', '--url', api.url, '--temperature', '0.5'), 0)
  t.like(api.service.lastRequest.sampling, { temperature: 0.5, topP: 0.9, minP: 0.05, repetitionPenalty: 1.05 })
  t.is(api.service.lastRequest.maxTokens, 1024)
})

test('the greeting names the model, its sampling and the bound', async (t) => {
  const api = await openNumbered(t)
  const terminal = screen(folder(t))
  terminal.input.end(CTRL_D)
  t.is(await terminal.run('chat', '--url', api.url), 0)
  t.regex(terminal.stdout, /^fake-model, temperature 0\.6, top_p 0\.95, answers of at most 1024 tokens\n\/help/)
})

test('Ctrl-C stops the answer and not the program; what has come of it stays in the conversation', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  let turns = 0
  api.service.answer = () => (turns++ === 0 ? [delta('Half an ans')] : [delta('Whole'), done()])
  const terminal = screen(folder(t))
  const ended = terminal.run('chat', '--url', api.url)
  terminal.input.write(`Hi${ENTER}`)
  await terminal.shows(/Half an ans/)
  terminal.input.write(CTRL_C)
  await terminal.shows(/\[stopped; first token after \d+ ms\]/)
  await api.service.turns[0]?.cancelled
  terminal.input.write(`Go on${ENTER}`)
  await terminal.shows(/Whole/)
  t.deepEqual(messagesOf(api), ['user: Hi', 'assistant: Half an ans', 'user: Go on'])
  terminal.input.write(CTRL_D)
  t.is(await ended, 0)
})

test('Ctrl-C at the prompt clears the line, and ends the conversation only the second time on an empty one', async (t) => {
  const api = await openNumbered(t)
  const terminal = screen(folder(t))
  const ended = terminal.run('chat', '--url', api.url)
  await terminal.shows(/> /)
  terminal.input.write(`wrong${CTRL_C}right${ENTER}`)
  await terminal.shows(/answer 1/)
  t.deepEqual(messagesOf(api), ['user: right'])
  await terminal.shows(/tokens\]\n.*> /s)
  terminal.input.write(CTRL_C)
  await terminal.shows(/Ctrl-C again/)
  terminal.input.write(CTRL_C)
  t.is(await ended, 0)
})

test('arrow keys move in the line and bring back earlier lines, also those of an earlier conversation', async (t) => {
  const api = await openNumbered(t)
  const home = folder(t)
  const first = screen(home)
  first.input.end(`what is tea?${ENTER}${CTRL_D}`)
  t.is(await first.run('chat', '--url', api.url), 0)
  t.is(readFileSync(historyFile(home), 'utf8'), 'what is tea?\n')
  t.is(statSync(historyFile(home)).mode & 0o777, 0o600)
  const second = screen(home)
  second.input.end(`${UP}${LEFT} and rum${ENTER}${CTRL_D}`)
  t.is(await second.run('chat', '--url', api.url), 0)
  t.deepEqual(messagesOf(api), ['user: what is tea and rum?'])
})

test('--input-history off keeps no line', async (t) => {
  const api = await openNumbered(t)
  const home = folder(t)
  const terminal = screen(home)
  terminal.input.end(`secret${ENTER}${CTRL_D}`)
  t.is(await terminal.run('chat', '--url', api.url, '--input-history', 'off'), 0)
  t.is(api.service.turns.length, 1)
  t.false(existsSync(historyFile(home)))
})

test('lines from a pipe are nobody\'s history', async (t) => {
  const api = await openNumbered(t)
  const home = folder(t)
  const terminal = new FakeTerminal({ HOME: home, XDG_STATE_HOME: join(home, 'state') })
  terminal.type('Hi')
  t.is(await terminal.run('chat', '--url', api.url), 0)
  t.false(existsSync(historyFile(home)))
})

test('the history of lines is bounded, and only its owner reads it', (t) => {
  const path = join(folder(t), 'history')
  writeFileSync(path, Array.from({ length: 1500 }, (_, i) => `line ${i}\n`).join(''), { mode: 0o644 })
  const history = new InputHistory(path)
  t.is(readFileSync(path, 'utf8').split('\n').length, 1001)
  t.is(statSync(path).mode & 0o777, 0o600)
  history.add('x'.repeat(5000))
  history.add('last')
  history.add('last')
  t.deepEqual(new InputHistory(path).newestFirst().slice(0, 2), ['last', 'line 1499'])
})

test('a line that is typed while an answer comes is the next turn', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  const terminal = screen(folder(t))
  api.service.answer = () => [delta('Slow')]
  const ended = terminal.run('chat', '--url', api.url)
  terminal.input.write(`one${ENTER}`)
  await terminal.shows(/Slow/)
  terminal.input.write(`two${ENTER}`)
  const second = api.service.nextTurn()
  api.service.turns[0]?.push(done())
  await terminal.shows(/tokens\]\n> two\n/)
  await second
  t.deepEqual(messagesOf(api), ['user: one', 'assistant: Slow', 'user: two'])
  terminal.input.write(CTRL_C)
  await terminal.shows(/stopped/)
  terminal.input.end(CTRL_D)
  t.is(await ended, 0)
})

test('/retry asks again in the place of the answer, with another seed; /new forgets, /system stays', async (t) => {
  const api = await openNumbered(t)
  const terminal = new FakeTerminal()
  terminal.type('/retry', '/system be brief', 'Hi', '/retry', 'More', '/new', 'Hi again', '/system', '/system -', 'Bare')
  t.is(await terminal.run('chat', '--url', api.url, '--seed', '7'), 0)
  const asked = api.service.turns.map(({ request: { prompt, sampling } }) => ({
    messages: prompt.kind === 'chat' ? prompt.messages.map(({ content }) => content) : [],
    seed: sampling.seed,
  }))
  t.deepEqual(asked, [
    { messages: ['be brief', 'Hi'], seed: 7n },
    { messages: ['be brief', 'Hi'], seed: 8n },
    { messages: ['be brief', 'Hi', 'answer 2', 'More'], seed: 8n },
    { messages: ['be brief', 'Hi again'], seed: 8n },
    { messages: ['Hi again', 'answer 4', 'Bare'], seed: 8n },
  ])
  t.regex(terminal.stderr, /\/retry: no message was answered yet/)
  t.regex(terminal.stdout, /\[system message: be brief\]/)
})

test('a retry that fails leaves the earlier answer', async (t) => {
  const api = await openNumbered(t)
  const { answer } = api.service
  let asked = 0
  api.service.answer = (request) => (++asked === 2 ? [new Error('broken')] : answer(request))
  const terminal = new FakeTerminal()
  terminal.type('Hi', '/retry', 'More')
  await terminal.run('chat', '--url', api.url)
  t.deepEqual(messagesOf(api), ['user: Hi', 'assistant: answer 1', 'user: More'])
})

test('/save writes messages or text into a new file of the user, and never over another', async (t) => {
  const api = await openNumbered(t)
  const home = folder(t)
  const terminal = new FakeTerminal({ HOME: home })
  terminal.type('Hi', '/save ~/chat.json', '/save ~/chat.txt', '/save ~/chat.txt', '/save', '/save ~/no/such/folder')
  t.is(await terminal.run('chat', '--url', api.url, '--system', 'be kind'), 0)
  const messages = [['system', 'be kind'], ['user', 'Hi'], ['assistant', 'answer 1']].map(([role, content]) => ({ role, content }))
  t.deepEqual(JSON.parse(readFileSync(join(home, 'chat.json'), 'utf8')), messages)
  t.is(readFileSync(join(home, 'chat.txt'), 'utf8'), 'system:\nbe kind\n\nuser:\nHi\n\nassistant:\nanswer 1\n')
  t.is(statSync(join(home, 'chat.txt')).mode & 0o777, 0o600)
  t.regex(terminal.stderr, /chat\.txt is there already/)
  t.regex(terminal.stderr, /needs the name of a file/)
  t.regex(terminal.stderr, /folder cannot be written: ENOENT/)
})

test('an unknown command is not sent, a doubled slash and a path are', async (t) => {
  const api = await openNumbered(t)
  const terminal = new FakeTerminal()
  terminal.type('/nonsense', '/help', '//retry now', '/etc/hosts is what?')
  t.is(await terminal.run('chat', '--url', api.url), 0)
  t.is(api.service.turns.length, 2)
  t.deepEqual(messagesOf(api), ['user: /retry now', 'assistant: answer 1', 'user: /etc/hosts is what?'])
  t.regex(terminal.stderr, /there is no command \/nonsense/)
  for (const name of ['/system', '/retry', '/new', '/save', '/help', '/quit']) t.true(terminal.stdout.includes(`  ${name}`), name)
})

test('an answer that reaches its bound says so', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = () => [delta('On and on'), done({ finish: 'length' })]
  const terminal = new FakeTerminal()
  terminal.type('Hi')
  t.is(await terminal.run('chat', '--url', api.url, '--max-tokens', '9'), 0)
  t.regex(terminal.stdout, /answer 5 tokens\]\n\[the answer has reached its bound of 9 tokens/)
})

test('a spinner turns until the first token, and leaves nothing behind', async (t) => {
  const api = await openTestApi()
  t.teardown(() => api.close())
  api.service.answer = () => []
  const terminal = screen(folder(t))
  const ended = terminal.run('chat', '--url', api.url)
  const started = api.service.nextTurn()
  terminal.input.write(`Hi${ENTER}`)
  const turn = await started
  await terminal.shows(/\r.\[K⠙ \d+\.\d s/)
  turn.push(delta('There'))
  turn.push(done())
  await terminal.shows(/ s\r.\[KThere\n\[first token/)
  terminal.input.end(CTRL_D)
  t.is(await ended, 0)
})
