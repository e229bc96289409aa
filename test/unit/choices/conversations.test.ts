// Several answers to one request, as a conversation: each has a record, and none is a tip before it is continued.

import test from 'ava'
import { AnswerHash, type ChainMessage } from '../../../ts/conversations/chain.js'
import type { Resolution } from '../../../ts/conversations/conversations.js'
import { openTurn, addAnswer } from '../../../ts/conversations/open-turns.js'
import { SimulatedDisk } from '../../../ts/engine/simulated/disk.js'
import type { ServiceOptions } from '../../../ts/scheduler/core/options.js'
import type { TurnMessage, TurnRequest } from '../../../ts/service/types.js'
import { askChoices, startChoices } from '../../support/choices.js'
import { conversationStore } from '../../support/conversation-store.js'
import { MemoryDatabase } from '../../support/memory-database.js'
import { greedy } from '../../support/sampling.js'
import { ask, chat, readTurn, reusedTokens, simulatedService, type Answer } from '../../support/simulated-service.js'
import { rowOf, SYSTEM, temporaryStore, user as userTurn } from '../../support/talk.js'

const user = (content: string): ChainMessage => ({ role: 'user', content })
const assistant = (content: string): ChainMessage => ({ role: 'assistant', content })

/** A store whose ids are c1, c2, …; opened again, with what the database kept. */
function opened(database = new MemoryDatabase()) {
  let made = 0
  const store = conversationStore({ database, newId: () => `${made === 0 ? 'c' : 'd'}${++made}` })
  const resolve = (messages: readonly ChainMessage[], { choices = 1, conversation = null as string | null, cacheSalt = '' } = {}) =>
    store.resolve({ tenant: '', cacheSalt, conversation, hint: null, messages, choices })
  const end = (resolution: Resolution, text: string, length = 10) => {
    const hash = new AnswerHash(resolution.parent as string)
    hash.add(text)
    store.answered(resolution, { hash: hash.end(), record: { tokens: Uint32Array.of(1), bytes: 1, reasoning: 0, whole: true }, length, leftOut: 0, leaf: text })
  }
  const answer = (resolution: Resolution, ...texts: readonly string[]) => {
    store.accept(resolution)
    for (const text of texts) end(resolution, text)
    return resolution
  }
  return { store, resolve, answer, end, reopened: () => opened(database) }
}

const HI = [user('hi')]
const after = (text: string) => [...HI, assistant(text), user('and?')]

test('any of several answers goes on in its conversation, and the others fork it from then on', (t) => {
  for (const reopens of [false, true]) {
    let conversations = opened()
    conversations.answer(conversations.resolve(HI, { choices: 3 }), 'A', 'B', 'C')
    if (reopens) conversations = conversations.reopened()
    for (const text of ['A', 'B', 'C']) t.like(conversations.resolve(after(text)), { id: 'c1', forkedFrom: null }, text)
    conversations.answer(conversations.resolve(after('C')), 'more')
    if (reopens) conversations = conversations.reopened()
    const { resolve } = conversations
    t.like(resolve([...after('C'), assistant('more'), user('!')]), { id: 'c1', forkedFrom: null })
    for (const text of ['A', 'B', 'C']) t.is(resolve(after(text)).forkedFrom, 'c1', `${text} is no tip`)
    for (const text of ['A', 'B', 'C']) t.not(resolve(after(text)).stored[1], undefined, `${text} has its record`)
  }
})

test('an answer that is continued is the tip at once, though nothing of the turn after it is there yet', (t) => {
  const { store, resolve, answer } = opened()
  answer(resolve(HI, { choices: 2 }), 'A', 'B')
  t.deepEqual(store.get('', 'c1')?.tips, [])
  store.accept(resolve(after('B')))
  t.is(store.get('', 'c1')?.tips.length, 1)
  t.is(store.get('', 'c1')?.open, undefined)
  t.like(resolve(after('B')), { id: 'c1', forkedFrom: null })
  t.is(resolve(after('A')).forkedFrom, 'c1')
})

test('until one of several answers is continued, the tip before them stays one', (t) => {
  const { resolve, answer } = opened()
  answer(resolve(HI), 'A')
  answer(resolve(after('A'), { choices: 2 }), 'B', 'C')
  t.like(resolve(after('A')), { id: 'c1', forkedFrom: null }, 'the question can be asked again')
  const next = [...after('A'), assistant('B'), user('on')]
  answer(resolve(next), 'D')
  t.is(resolve(after('A')).forkedFrom, 'c1')
  t.is(resolve([...after('A'), assistant('C'), user('on')]).forkedFrom, 'c1')
})

test('where the conversation goes on beside several answers, they fork it', (t) => {
  const { resolve, answer } = opened()
  answer(resolve(HI), 'A')
  answer(resolve(after('A'), { choices: 2 }), 'B', 'C')
  answer(resolve(after('A')), 'alone')
  t.is(resolve([...after('A'), assistant('B'), user('on')]).forkedFrom, 'c1')
  t.like(resolve([...after('A'), assistant('alone'), user('on')]), { id: 'c1', forkedFrom: null })
})

test('an answer that ends after another one was continued forks the conversation', (t) => {
  const { store, resolve, answer, end } = opened()
  const first = resolve(HI, { choices: 2 })
  store.accept(first)
  end(first, 'A')
  answer(resolve(after('A')), 'more')
  end(first, 'B')
  t.is(resolve(after('B')).forkedFrom, 'c1')
  t.like(resolve([...after('A'), assistant('more'), user('!')]), { id: 'c1', forkedFrom: null })
})

test('several answers are one turn, and the longest of them stands for it', (t) => {
  const { store, resolve, end } = opened()
  const first = resolve(HI, { choices: 3 })
  store.accept(first)
  end(first, 'A', 10)
  end(first, 'B', 30)
  end(first, 'C', 20)
  t.like(store.get('', 'c1'), { turns: 1, tokens: 30, leaf: 'B' })
  const second = resolve(after('A'))
  store.accept(second)
  end(second, 'D', 15)
  t.like(store.get('', 'c1'), { turns: 2, tokens: 15, leaf: 'D' })
})

test('answers with a salt go on for that salt alone', (t) => {
  let conversations = opened()
  conversations.answer(conversations.resolve(HI, { choices: 16, cacheSalt: 's' }), ...Array.from({ length: 16 }, (_, i) => `A${i}`))
  conversations = conversations.reopened()
  for (const text of ['A0', 'A15']) t.like(conversations.resolve(after(text), { cacheSalt: 's' }), { id: 'c1', forkedFrom: null })
  t.is(conversations.resolve(after('A0')).continues, null)
})

test('branches of one id with several answers each do not close one another', (t) => {
  const { resolve, answer } = opened()
  answer(resolve(HI, { choices: 2, conversation: 'mine' }), 'A', 'B')
  answer(resolve([user('ho')], { choices: 2, conversation: 'mine' }), 'C', 'D')
  answer(resolve([user('ho'), assistant('D'), user('on')]), 'E')
  t.like(resolve(after('B')), { id: 'mine', forkedFrom: null })
})

test('open turns and their answers are bounded, and the oldest are forgotten first', (t) => {
  const most = { turns: 2, answers: 4 }
  const spot = (question: string) => ({ question, before: null })
  let turns = openTurn([], spot('one'), most)
  for (const answer of ['a', 'b', 'a', 'c']) turns = addAnswer(turns, spot('one'), answer, most)
  t.deepEqual(turns.map(({ answers }) => answers), [['a', 'b', 'c']])
  turns = openTurn(turns, spot('two'), most)
  for (const answer of ['d', 'e']) turns = addAnswer(turns, spot('two'), answer, most)
  t.deepEqual(turns.map(({ answers }) => answers), [['b', 'c'], ['d', 'e']])
  turns = addAnswer(addAnswer(turns, spot('two'), 'f', most), spot('two'), 'g', most)
  t.deepEqual(turns.map(({ answers }) => answers), [['d', 'e', 'f', 'g']])
  turns = openTurn(openTurn(turns, spot('three'), most), spot('four'), most)
  t.deepEqual(turns.map(({ question }) => question), ['three', 'four'])
  t.deepEqual(addAnswer(turns, spot('two'), 'h', most), turns)
})

const QUESTION: readonly TurnMessage[] = [SYSTEM, userTurn('What is there to see? '.repeat(12))]
/** Under this seed no answer holds bytes that are no UTF-8, which a client cannot send back. */
const sampling = { ...greedy, temperature: 1, seed: 7n }

function request(messages: readonly TurnMessage[], rest: Partial<TurnRequest> = {}): TurnRequest {
  return chat(messages, { sampling, maxTokens: 40, ignoreEos: true, ...rest })
}

const continued = (answer: Answer | undefined) => [...QUESTION, { role: 'assistant', content: answer?.text ?? '' }, userTurn('And then?')]

for (const restarts of [false, true]) {
  test(`each of several answers is continued from its own tokens${restarts ? ', also after a restart' : ''}: one of them goes on, the others fork`, async (t) => {
    const options: Partial<ServiceOptions> = { dataDir: temporaryStore(t) }
    const slots = { hbm: 64, dram: 64, ssd: 512 }
    const disk = new SimulatedDisk('disk')
    let served = simulatedService({ slots, disk }, options)
    const answers = await askChoices(served.service, request(QUESTION), 4)
    t.is(new Set(answers.map(({ text }) => text)).size, 4)
    const again = async (): Promise<void> => {
      if (!restarts) return
      await served.service.demote('ssd')
      await served.close()
      served = simulatedService({ slots, disk }, options)
    }
    const id = answers[0]?.usage.conversation ?? ''
    for (const [number, expected] of [[2, id], [0, 'a fork'], [3, 'a fork']] as const) {
      await again()
      const before = answers[number] as Answer
      const { usage } = await ask(served.service, request(continued(before)))
      const bound = before.usage.promptTokens + before.tokens.length - 2
      t.true(reusedTokens(usage) >= bound, `answer ${number}: ${reusedTokens(usage)} reused, ${bound} expected`)
      if (expected === id) t.is(usage.conversation, id)
      else t.is(rowOf(served.service, usage.conversation)?.forkedFrom, id)
    }
    await served.close()
  })
}

test('an answer that was cancelled leaves the others their conversation', async (t) => {
  const served = simulatedService()
  const turns = await startChoices(served.service, request(QUESTION), 3)
  turns[1]?.cancel()
  const [first, , third] = await Promise.all(turns.map(readTurn))
  t.is(rowOf(served.service, first?.usage.conversation ?? '')?.turns, 1)
  for (const answer of [third, first]) {
    const { usage } = await ask(served.service, request(continued(answer ?? undefined)))
    t.true(reusedTokens(usage) > (answer?.usage.promptTokens ?? Infinity))
  }
  await served.close()
})

test('an erasure reaches the records and blocks of all answers', async (t) => {
  const served = simulatedService({}, { dataDir: temporaryStore(t) })
  const answers = await askChoices(served.service, request(QUESTION), 4)
  const id = answers[0]?.usage.conversation ?? ''
  const erasure = await served.service.conversations.erase(id, null)
  t.is(erasure.recordsErased, 4)
  t.is(erasure.requestsAnonymised, 4)
  t.deepEqual(served.service.cacheStatus().tiers.map(({ blocks }) => blocks.total), [0, 0, 0])
  const { usage } = await ask(served.service, request(continued(answers[1])))
  t.is(reusedTokens(usage), 0)
  t.not(usage.conversation, id)
  await served.close()
})
