// A server says of each token of an answer the same as a server that computes the text from its beginning, and the same bits
// from every tier of its history.

import { demoteAll } from '../support/cache.js'
import { disagreements } from '../support/comparison.js'
import { ask, Conversation, reusedFrom, type Answer } from '../support/conversation.js'
import { defaultModelPath } from '../support/model.js'
import { temporaryFolder } from '../support/paths.js'
import { testNeeding } from '../support/requirements.js'
import { SCRIPTS } from '../support/scripts.js'
import { TestServer } from '../support/server.js'
import { greedy, sampled, type SamplingOf } from './shared/rounds.js'

const modelTest = testNeeding('model')
const MODEL = { modelPath: defaultModelPath() ?? '' }
const TIERS = ['--hbm-bytes', '96MiB', '--dram-bytes', '256MiB', '--ssd-bytes', '1GiB'] as const
const TURNS = 3

/** A conversation, demoted before each turn but the first. */
async function play(server: TestServer, script: number, samplingOf: SamplingOf): Promise<readonly Answer[]> {
  const conversation = new Conversation(SCRIPTS[script] ?? { system: '', questions: [] })
  for (let turn = 0; turn < TURNS; turn += 1) {
    await conversation.next(server, samplingOf(script, turn))
    await demoteAll(server, turn % 2 === 0 ? 'dram' : 'ssd')
  }
  return conversation.answers
}

modelTest('log probabilities over a history that was loaded are those of computing the same text', async (t) => {
  const server = await TestServer.start({ args: TIERS })
  const answers = [await play(server, 0, greedy), await play(server, 1, sampled)]
  t.is(await server.stop(), 0)
  t.true(answers.flat().filter((answer) => reusedFrom(answer) > 0).length >= 2 * (TURNS - 1))
  t.deepEqual(await disagreements(answers, MODEL), [])
  // The same answers after other instructions are not what computing those says.
  const elsewhere = answers.map((turns) => turns.map((answer) => ({ ...answer, messages: answer.messages.map(changed) })))
  t.true((await disagreements(elsewhere, MODEL)).length > 0)
})

/** Half a block of other words, of as many tokens. */
function changed(message: Answer['messages'][number]): Answer['messages'][number] {
  if (message.role !== 'system' || typeof message.content !== 'string') return message
  const [kept, other] = ['You answer in one or two short sentences, in plain words, and you never', 'They answered to no nor three long books, with dark ideas, but they always']
  return { ...message, content: message.content.replace(kept, other) }
}

const said = ({ text, finish, tokens, likeliest }: Answer) => ({ text, finish, tokens, likeliest })

for (const [name, samplingOf] of [['greedy', greedy], ['temperature 1', sampled]] as const) {
  modelTest(`${name}: answers from dram, from ssd and after a restart are the bits of answers from hbm`, async (t) => {
    const home = temporaryFolder()
    let server = await TestServer.start({ args: TIERS, home })
    const [first] = await play(server, 2, samplingOf)
    const last = { role: 'user', content: 'And what else?' } as const
    const messages = [...(first?.messages ?? []), { role: 'assistant', content: first?.text ?? '' } as const, last]
    const again = () => ask(server, messages, samplingOf(2, 1))
    // The first time more is computed than later: from then on the plan is the same.
    await again()
    const hbm = await again()
    t.is(reusedFrom(hbm, 'hbm'), hbm.usage.prompt_tokens - 1, JSON.stringify(hbm.usage))
    for (const tier of ['dram', 'ssd', 'ssd'] as const) {
      await demoteAll(server, tier)
      const answer = await again()
      t.is(reusedFrom(answer, tier), reusedFrom(hbm, 'hbm'), JSON.stringify(answer.usage))
      t.deepEqual(said(answer), said(hbm), tier)
    }
    await demoteAll(server, 'ssd')
    t.is(await server.stop(), 0)
    server = await TestServer.start({ args: TIERS, home })
    const restarted = await again()
    t.is(reusedFrom(restarted, 'ssd'), reusedFrom(hbm, 'hbm'), JSON.stringify(restarted.usage))
    t.deepEqual(said(restarted), said(hbm))
    t.is(await server.stop(), 0)
  })
}
