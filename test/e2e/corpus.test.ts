// Other people's conversations: histories whose answers this server did not generate, with code, lists and other
// languages in them. Paths through one tree share a prefix, so later ones are forks of earlier ones.

import test from 'ava'
import { comparisonOf } from '../support/comparison.js'
import { readDialogues } from '../support/corpus.js'
import { ask, reusedFrom, type Answer, type Message } from '../support/conversation.js'
import { has, testNeeding } from '../support/requirements.js'
import { TestServer } from '../support/server.js'

const DIALOGUES = 8
/** Messages taken of each, and characters of each message: what two servers answer in seconds. */
const MESSAGES = 3
const CHARACTERS = 400

/** The first messages, ending in one of the user. */
function toMessages(turns: ReadonlyArray<readonly [string, string]>): Message[] {
  const messages: Message[] = turns.slice(0, MESSAGES).map(([role, text]) => ({
    role: role === 'assistant' ? 'assistant' : 'user',
    content: text.slice(0, CHARACTERS),
  }))
  return messages.at(-1)?.role === 'assistant' ? [...messages, { role: 'user', content: 'Go on.' }] : messages
}

testNeeding('model', 'corpus')('forks of conversations that others wrote reuse their prefix and answer as without reuse', async (t) => {
  const histories = readDialogues('oasst_en', DIALOGUES).map(({ turns }) => toMessages(turns))
  const reusing = await TestServer.start({ args: ['--hbm-bytes', '96MiB', '--dram-bytes', '256MiB', '--ssd-bytes', '0'] })
  const computing = await TestServer.start({ args: ['--no-reuse', '--hbm-bytes', '96MiB'] })
  const [answers, expected]: [Answer[][], Answer[][]] = [[], []]
  for (const messages of histories) {
    const options = { temperature: 0, max_tokens: 8 }
    answers.push([await ask(reusing, messages, options)])
    expected.push([await ask(computing, messages, options)])
  }
  t.deepEqual(await comparisonOf()(answers, expected), [])
  const reused = answers.flat().reduce((sum, answer) => sum + reusedFrom(answer), 0)
  t.true(reused > 0, 'paths through one tree share a prefix')
  await Promise.all([reusing.stop(), computing.stop()])
})

test('the corpus is read, or its absence is known before the tests', (t) => {
  t.is(readDialogues('oasst_en', 2).length, has('corpus') ? 2 : 0)
})
