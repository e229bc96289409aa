// "A conversation that is never computed twice": twenty conversations of five turns on the default model with small tiers,
// each answer compared with computing everything. Called once a sampling, so that each file has one server.

import { cacheStatus, brokenBounds, demoteAll, metric } from '../../support/cache.js'
import { comparisonOf, type Answers } from '../../support/comparison.js'
import { reusedFrom } from '../../support/conversation.js'
import { temporaryFolder } from '../../support/paths.js'
import { testNeeding } from '../../support/requirements.js'
import { TestServer } from '../../support/server.js'
import { playAll, shortReuses, wrongUsages, type SamplingOf } from './rounds.js'

const SMALL_TIERS = ['--hbm-bytes', '96MiB', '--dram-bytes', '256MiB', '--ssd-bytes', '2GiB'] as const
/** Sixteen blocks: twenty conversations never fit. */
const TINY_HBM = ['--hbm-bytes', '24MiB', '--dram-bytes', '256MiB', '--ssd-bytes', '2GiB', '--max-context', '1024'] as const

/** Tokens that one conversation may find in another's blocks: the template's words before the system prompt. */
const SHARED_PREFIX_TOKENS = 8

/** Turns that took more from elsewhere than from `tier`, in words. */
function notFrom(answers: Answers, turn: number, tier: 'dram' | 'ssd'): string[] {
  return answers.flatMap((turns, conversation) => {
    const answer = turns[turn]
    if (answer && reusedFrom(answer) - reusedFrom(answer, tier) <= SHARED_PREFIX_TOKENS) return []
    return [`conversation ${conversation}: ${JSON.stringify(answer?.usage.attentionstore.reused_tokens)}`]
  })
}

async function baseline(samplingOf: SamplingOf): Promise<Answers> {
  const server = await TestServer.start({ args: ['--no-reuse', '--hbm-bytes', '512MiB'] })
  const { answers } = await playAll(server, samplingOf)
  await server.stop()
  return answers
}

export function declareConversationTests(name: string, samplingOf: SamplingOf): void {
  const modelTest = testNeeding('model')
  const compare = comparisonOf()
  let expected: Answers = []

  modelTest(`${name}: a server without reuse answers twenty conversations of five turns`, async (t) => {
    expected = await baseline(samplingOf)
    t.true(expected.every((turns) => turns.every((answer) => reusedFrom(answer) === 0)))
    t.true(expected.flat().some(({ text }) => text.length > 0))
  })

  modelTest(`${name}: every turn reuses the turn before, and answers what the server without reuse answers`, async (t) => {
    const server = await TestServer.start({ args: SMALL_TIERS })
    const { answers } = await playAll(server, samplingOf)
    t.deepEqual(await compare(answers, expected), [])
    t.deepEqual(shortReuses(answers), [])
    t.deepEqual(wrongUsages(answers), [])
    t.deepEqual(brokenBounds(await cacheStatus(server)), [])
    t.is(await server.stop(), 0)
    t.deepEqual(server.errors, [])
  })

  modelTest(`${name}: so it is after a demotion to dram, to ssd, after a restart and after a crash`, async (t) => {
    const home = temporaryFolder()
    // A GPU computes so few tokens sooner than it reads them.
    const start = () => TestServer.start({ args: [...SMALL_TIERS, '--history', 'load'], home })
    const { answers, server } = await playAll(await start(), samplingOf, async (running, turn) => {
      if (turn === 1) await demoteAll(running, 'dram')
      if (turn >= 2) await demoteAll(running, 'ssd')
      if (turn <= 2) return running
      if (turn === 3) t.is(await running.stop(), 0)
      else await running.kill()
      return start()
    })
    t.deepEqual(await compare(answers, expected), [])
    // Also after the crash: a demotion is answered once what it moved is on disk, records included.
    t.deepEqual(shortReuses(answers), [])
    t.deepEqual(notFrom(answers, 1, 'dram'), [])
    t.deepEqual(notFrom(answers, 2, 'ssd'), [])
    t.deepEqual(notFrom(answers, 3, 'ssd'), [])
    t.is(await server.stop(), 0)
    t.deepEqual(server.errors, [])
  })

  modelTest(`${name}: so it is when all twenty run at once in sixteen blocks and are preempted`, async (t) => {
    const server = await TestServer.start({ args: TINY_HBM })
    const { answers } = await playAll(server, samplingOf)
    t.deepEqual(await compare(answers, expected), [])
    t.deepEqual(shortReuses(answers), [])
    t.true(((await metric(server, 'attentionstore_preemptions_total')) ?? 0) > 0)
    t.deepEqual(brokenBounds(await cacheStatus(server)), [])
    t.is(await server.stop(), 0)
    t.deepEqual(server.errors, [])
  })
}
