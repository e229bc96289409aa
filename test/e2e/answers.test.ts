// Answers whose text and tokens part company: cut by a stop string, by max_tokens, inside a character, or with white
// space at an end. The next turn must still find them, and answer as a server that computes everything.

import test, { type ExecutionContext } from 'ava'
import { comparisonOf } from '../support/comparison.js'
import { ask, Conversation, reuseBound, reusedFrom, type Answer, type TurnOptions } from '../support/conversation.js'
import { has, testNeeding } from '../support/requirements.js'
import { SCRIPTS } from '../support/scripts.js'
import { TestServer, tokensOf } from '../support/server.js'

const modelTest = testNeeding('model')
const compare = comparisonOf(undefined, { everyToken: true })
let reusing: TestServer
let computing: TestServer

test.before(async () => {
  if (!has('model')) return
  reusing = await TestServer.start({ args: ['--hbm-bytes', '96MiB', '--dram-bytes', '256MiB', '--ssd-bytes', '0'] })
  computing = await TestServer.start({ args: ['--no-reuse', '--hbm-bytes', '96MiB'] })
})

test.after.always(async () => {
  await reusing?.stop()
  await computing?.stop()
})

const GREEDY: TurnOptions = { temperature: 0, max_tokens: 12 }

interface Pair {
  readonly first: Answer
  readonly second: Answer
}

async function playPair(server: TestServer, script: number, options: TurnOptions): Promise<Pair> {
  const conversation = new Conversation(SCRIPTS[script] ?? { system: '', questions: [] })
  const first = await conversation.next(server, options)
  return { first, second: await conversation.next(server, GREEDY) }
}

/** Plays two turns on both servers: they agree, and the second turn finds what the first left. */
async function sameAndReused(t: ExecutionContext, script: number, options: TurnOptions): Promise<Pair> {
  const actual = await playPair(reusing, script, options)
  const expected = await playPair(computing, script, options)
  t.deepEqual(await compare([[actual.first, actual.second]], [[expected.first, expected.second]]), [])
  const reused = reusedFrom(actual.second)
  t.true(reused >= reuseBound(actual.first), `${reused} tokens reused, not ${reuseBound(actual.first)}`)
  return actual
}

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** The first token after the first that has letters inside, and the text before it. */
function cutInside(answer: Answer): { readonly stop: string; readonly before: string } {
  let before = ''
  for (const [index, bytes] of answer.tokens.entries()) {
    const token = decode(bytes)
    const stop = token.slice(2)
    const isNew = !(before + token.slice(0, 2)).includes(stop)
    if (index > 0 && token.length >= 4 && /^\w+$/.test(stop) && isNew) return { stop, before: before + token.slice(0, 2) }
    before += token
  }
  throw new Error(`no token can be cut inside: ${JSON.stringify(answer.text)}`)
}

modelTest('a stop string that cuts inside a token ends the text before it, and the whole tokens are reused', async (t) => {
  const whole = await playPair(computing, 0, GREEDY)
  const { stop, before } = cutInside(whole.first)
  const { first } = await sameAndReused(t, 0, { ...GREEDY, stop: [stop] })
  t.is(first.text, before)
  t.is(first.finish, 'stop')
})

modelTest('a stop string that is included ends the text, and its whole tokens are reused', async (t) => {
  const whole = await playPair(computing, 0, GREEDY)
  const { stop, before } = cutInside(whole.first)
  const kept = { ...GREEDY, stop: [stop], include_stop_str_in_output: true }
  const { first } = await sameAndReused(t, 0, kept)
  t.is(first.text, before + stop)
  t.is(first.finish, 'stop')
  // The stop ends its token here, so the record covers all of the answer.
  t.is(first.inside.tokens, first.tokens.length)
})

modelTest('bad words and ends that come too early are not in the answer, with the model’s own tokens', async (t) => {
  const messages = [{ role: 'user' as const, content: 'Say hello.' }]
  const free = await ask(reusing, messages, { temperature: 0, max_tokens: 40 })
  const [word = ''] = /[A-Za-z]{4,}/.exec(free.text) ?? []
  const without = await ask(reusing, messages, { temperature: 0, max_tokens: 40, bad_words: [word] })
  t.true(free.text.includes(word) && !new RegExp(`\\b${word}\\b`).test(without.text), `${word}: ${without.text}`)
  const long = await ask(reusing, messages, { temperature: 0, max_tokens: 90, min_tokens: 80 })
  t.true(free.usage.completion_tokens < 80 && long.usage.completion_tokens >= 80)
})

modelTest('an answer cut by max_tokens is continued to the token', async (t) => {
  const { first } = await sameAndReused(t, 1, { temperature: 0, max_tokens: 5 })
  t.is(first.finish, 'length')
  t.is(first.usage.completion_tokens, 5)
  t.is(first.inside.tokens, 5)
})

modelTest('answers that begin or end in white space are kept as they are', async (t) => {
  const [space = 0, line = 0] = [(await tokensOf(reusing, ' '))[0], (await tokensOf(reusing, '\n'))[0]]
  const seen = { begins: 0, ends: 0 }
  for (let seed = 0; seed < 6; seed += 1) {
    const bias = { logit_bias: { [space]: 9 + seed, [line]: 9 + seed } }
    const { first } = await sameAndReused(t, 2 + seed, { temperature: 1, seed, max_tokens: 6, ...bias })
    seen.begins += /^\s/.test(first.text) ? 1 : 0
    seen.ends += /\s$/.test(first.text) ? 1 : 0
  }
  t.true(seen.begins > 0 && seen.ends > 0, JSON.stringify(seen))
})

modelTest('bytes of an unfinished character at the cut are not in the text, and do no harm', async (t) => {
  const partial = (await tokensOf(reusing, '🙂'))[0] ?? 0
  const seen = { dropped: 0 }
  for (let seed = 0; seed < 4; seed += 1) {
    const options = { temperature: 1, seed, max_tokens: 3 + seed, logit_bias: { [partial]: 12 + 2 * seed } }
    const { first } = await sameAndReused(t, 8 + seed, options)
    seen.dropped += first.inside.tokens < first.tokens.length ? 1 : 0
  }
  t.true(seen.dropped > 0, 'no answer ended inside a character')
})

modelTest('an answer of nothing but an unfinished character is an empty text', async (t) => {
  const partial = (await tokensOf(reusing, '🙂'))[0] ?? 0
  const messages = [{ role: 'user' as const, content: 'Smile.' }]
  const answer = await ask(reusing, messages, {
    ...GREEDY,
    max_tokens: 1,
    logit_bias: { [partial]: 100 },
  })
  t.is(answer.text, '')
  t.is(answer.inside.tokens, 0)
})
