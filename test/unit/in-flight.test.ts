// Prompts that begin alike and are in flight at the same time.

import test from 'ava'
import { ChildIndex } from '../../ts/directory/children.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { Counters } from '../../ts/scheduler/accounts/counters.js'
import type { Core } from '../../ts/scheduler/core/core.js'
import { EventBus } from '../../ts/scheduler/core/events.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import { Followers } from '../../ts/scheduler/loop/followers.js'
import { Sequence } from '../../ts/scheduler/sequence/sequence.js'
import { TurnOutput } from '../../ts/service/turn.js'
import type { TurnRequest, TurnUsage } from '../../ts/service/types.js'
import { Random } from '../support/random.js'
import { greedy } from '../support/sampling.js'
import { ask, chat, readTurn, reusedTokens, simulatedService } from '../support/simulated-service.js'

/** Prompts of ids that no text has: as long as asked for, to the token. */
function prompt(length: number, from = 1000, rest: Partial<TurnRequest> = {}): TurnRequest {
  const tokens = Uint32Array.from({ length }, (_, i) => from + ((i * 7919) % 5000))
  return chat([], { prompt: { kind: 'tokens', tokens }, ignoreEos: true, maxTokens: 16, ...rest })
}

const engineOptions = { vocabSize: 8192 }

function serve(options: Partial<ServiceOptions> = {}, engine: Parameters<typeof simulatedService>[0] = {}) {
  const failures: unknown[] = []
  return { ...simulatedService({ ...engineOptions, ...engine }, options, failures), failures }
}

const computed = (usages: readonly TurnUsage[]) => usages.reduce((sum, { computedTokens }) => sum + computedTokens, 0)
const usagesOf = async (served: ReturnType<typeof serve>, requests: readonly TurnRequest[]) =>
  (await Promise.all(requests.map(request => ask(served.service, request)))).map(({ usage }) => usage)
const times = (count: number, request: () => TurnRequest) => Array.from({ length: count }, request)

test('sixteen identical prompts of 300 tokens compute each of them but the last token once', async t => {
  const served = serve()
  const usages = await usagesOf(served, times(16, () => prompt(300)))
  t.is(computed(usages), 300 + 15)
  for (const { reusedTokens: { hbm, dram, ssd } } of usages.slice(1)) t.deepEqual([hbm, dram, ssd], [299, 0, 0])
  t.deepEqual(served.failures, [])
  await served.close()
})

test('prompts that share a beginning wait for it alone, and compute what is their own beside each other', async t => {
  const served = serve()
  const own = (index: number) => {
    const tokens = Uint32Array.from({ length: 400 }, (_, i) => (i < 330 ? 1000 + i : 2000 + 100 * index + i))
    return prompt(0, 0, { prompt: { kind: 'tokens', tokens } })
  }
  const usages = await usagesOf(served, Array.from({ length: 6 }, (_, index) => own(index)))
  // Of the first prompt's block that holds the border, whole rows are shared too.
  t.is(computed(usages), 400 + 5 * (400 - 330))
  t.deepEqual(served.failures, [])
  await served.close()
})

test('the answers are the same as those of prompts that are computed one after the other without reuse', async t => {
  const answersOf = async (options: Partial<ServiceOptions>) => {
    const served = serve(options)
    const seeds = Array.from({ length: 8 }, (_, i) => prompt(300, 1000, { sampling: { ...prompt(1).sampling, temperature: 1, seed: BigInt(i) } }))
    const answers = await Promise.all(seeds.map(request => ask(served.service, request)))
    await served.close()
    return answers.map(({ tokens }) => tokens)
  }
  t.deepEqual(await answersOf({}), await answersOf({ noReuse: true }))
})

test('with --no-reuse nothing waits for another request', async t => {
  const served = serve({ noReuse: true })
  const usages = await usagesOf(served, times(4, () => prompt(300)))
  t.is(computed(usages), 4 * 300)
  await served.close()
})

for (const [name, change] of [['tenants', { tenant: 'other' }], ['cache salts', { cacheSalt: 'other' }]] as const) {
  test(`prompts of two ${name} share nothing in flight`, async t => {
    const served = serve()
    const usages = await usagesOf(served, [prompt(300), prompt(300, 1000, change)])
    t.is(computed(usages), 600)
    await served.close()
  })
}

test('a follower goes on from where its leader was cancelled, and leads the others', async t => {
  const served = serve()
  const leader = await served.service.start(prompt(2048))
  const followers = await Promise.all(times(3, () => prompt(2048)).map(request => served.service.start(request)))
  const answers = followers.map(turn => readTurn(turn))
  // Long enough for a few steps of 256 rows.
  await served.clock.advance(1500)
  const before = served.service.counters().computedTokens
  leader.cancel()
  const usages = (await Promise.all(answers)).map(answer => (answer as { usage: TurnUsage }).usage)
  t.true(computed(usages) <= 2048 + 2, `${computed(usages)} tokens computed, ${before} before`)
  t.is(usages.filter(usage => reusedTokens(usage) === 2047).length, 2)
  t.deepEqual(served.failures, [])
  await served.close()
})

test('a follower whose leader is preempted takes over', async t => {
  const served = serve({}, { slots: { hbm: 12, dram: 64, ssd: 64 } })
  const usages = await usagesOf(served, [
    prompt(200, 3000, { maxTokens: 150 }),
    prompt(250, 1000, { maxTokens: 150 }),
    prompt(250, 1000, { maxTokens: 150 }),
    prompt(250, 1000, { maxTokens: 150 }),
  ])
  t.true(served.service.counters().preemptions > 0)
  t.true(computed(usages) < 200 + 3 * 250, `${computed(usages)} tokens computed`)
  t.deepEqual(served.failures, [])
  await served.close()
})

test('a prompt that arrives while an identical one is answered computes its last token alone', async t => {
  const served = serve()
  const first = await served.service.start(prompt(300, 1000, { maxTokens: 400 }))
  const iterator = first[Symbol.asyncIterator]()
  await iterator.next()
  const { usage } = await ask(served.service, prompt(300))
  t.is(usage.computedTokens, 1)
  first.cancel()
  t.deepEqual(served.failures, [])
  await served.close()
})

test('random prompts with shared beginnings, cancelled and failing at random, keep the books and end', async t => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  t.log(`SEED=${seed}`)
  const random = new Random(seed)
  const below = (bound: number) => random.below(bound)
  for (let round = 0; round < 12; round++) {
    const served = serve(
      {},
      {
        slots: { hbm: 24 + below(40), dram: 48 + below(64), ssd: 64 + below(128) },
        faults: { fails: ({ kind }) => (kind !== 'flush' && random.next() < 0.02 ? 'injected' : undefined) },
      },
    )
    const turns = await Promise.all(
      Array.from({ length: 24 }, async () => {
        const shared = [64, 150, 300, 512, 700][below(5)] as number
        const own = below(120)
        const tokens = Uint32Array.from({ length: shared + own + 1 }, (_, i) => (i < shared ? 1000 + i : below(8000)))
        await served.clock.advance(below(40))
        return served.service.start(prompt(0, 0, { prompt: { kind: 'tokens', tokens }, maxTokens: 1 + below(80) }))
      }),
    )
    const ends = turns.map(turn => readTurn(turn))
    for (const turn of turns) if (random.next() < 0.3) turn.cancel()
    await Promise.all(ends)
    t.deepEqual(served.failures, [])
    served.service.checkIntegrity()
    t.is(served.service.counters().queued + served.service.counters().running, 0)
    await served.close()
  }
})

/** A sequence whose prompt is the tokens 0 … length, with a name for the key of each full block. */
function sequenceOf(ticket: number, length: number): Sequence {
  const tokens = Uint32Array.from({ length }, (_, i) => i)
  const keys = Array.from({ length: Math.floor(length / 64) }, (_, i) => `key ${i}`)
  const spec = { sequence: ticket, tokens, root: 'root', view: null, sampling: greedy, stop: [], stopTokens: [], ignoreEos: false, maxTokens: 1 }
  return new Sequence(spec, ticket, [{ leftOut: 0, tokens, keys }], new TurnOutput('c', () => {}, () => 'id'), null, '', 'request', 0)
}

/** Of a step by itself. */
const STEP_MS = 20

/** Followers of `leader`, which runs and has computed nothing, where a token of a prompt takes `msEach`; `there`: blocks in hbm. */
function followersOf(leader: Sequence, msEach: number | null, there = 0) {
  const clock = new VirtualClock(0)
  const blocks = new Map(Array.from({ length: there }, (_, i) => [`key ${i}`, { tier: 'hbm' }]))
  const core = {
    clock,
    events: new EventBus(),
    tiers: { keeps: true },
    counters: new Counters(),
    options: { maxBatchTokens: 256 },
    directory: { blocks, children: new ChildIndex() },
    costs: { isPromptMeasured: msEach !== null, promptStepMs: STEP_MS, rowsMs: (rows: number) => rows * (msEach ?? 0) },
  } as unknown as Core
  leader.prepare(0)
  leader.run(0)
  const published: Sequence[] = []
  const moves = { noteWants: () => {}, publishTail: (sequence: Sequence) => (published.push(sequence), 'coming' as const) }
  return { core, clock, published, followers: new Followers(core, moves, () => [leader]) }
}

test('a follower of a leader that does not move on waits four times the prediction, and then follows none', async t => {
  const leader = sequenceOf(0, 1000)
  const follower = sequenceOf(1, 1000)
  const { clock, followers } = followersOf(leader, 2)
  t.true(followers.follows(follower))
  await clock.advance(4 * (999 * 2 + STEP_MS) - 1)
  t.true(followers.follows(follower))
  await clock.advance(1)
  t.false(followers.follows(follower))
  followers.rosterChanged()
  t.false(followers.follows(follower))
})

test('a follower is looked at again when its bound is reached, though nothing else happens', async t => {
  const follower = sequenceOf(1, 300)
  const { core, clock, followers } = followersOf(sequenceOf(0, 300), 2)
  let told = 0
  core.events.on('followerWaited', () => told++)
  followers.follows(follower)
  await clock.advance(4 * (299 * 2 + STEP_MS))
  t.is(told, 1)
  const other = sequenceOf(2, 300)
  followers.follows(other)
  followers.forget(other)
  await clock.advance(100_000)
  t.is(told, 1, 'a request that waits no longer is not looked at')
})

test('before anything is measured a follower waits ten seconds at most', async t => {
  const follower = sequenceOf(1, 300)
  const { clock, followers } = followersOf(sequenceOf(0, 300), null)
  await clock.advance(1)
  t.true(followers.follows(follower))
  await clock.advance(9999)
  t.true(followers.follows(follower))
  await clock.advance(1)
  t.false(followers.follows(follower))
})

test('a request that has more of its prompt than the running one has computed does not follow it', t => {
  const { followers } = followersOf(sequenceOf(0, 1000), 2, 8)
  t.false(followers.follows(sequenceOf(1, 1000)), '488 tokens of its own, beside as many of the other, are sooner than 999')
})

test('tokens that take less than a step by itself are not waited for', t => {
  const { followers } = followersOf(sequenceOf(0, 1000), 1)
  t.false(followers.follows(sequenceOf(1, 20)), '19 shared tokens, 20 ms a step')
  t.true(followers.follows(sequenceOf(2, 21)))
  const { followers: fast } = followersOf(sequenceOf(0, 1000), 10)
  t.false(fast.follows(sequenceOf(3, 16)), 'fewer than 16 tokens are never waited for')
  t.true(fast.follows(sequenceOf(4, 17)))
})

test('the last block of a leader’s prompt is published when all of it is computed, and not before', t => {
  const leader = sequenceOf(0, 300)
  const follower = sequenceOf(1, 300)
  const { published, followers } = followersOf(leader, 2)
  leader.progress.advance(0, 299)
  t.true(followers.follows(follower))
  t.deepEqual(published, [])
  leader.progress.advance(299, 300)
  t.true(followers.follows(follower))
  t.deepEqual(published, [leader])
})

test('a leader that leaves is followed no longer', t => {
  for (const reason of ['cancelled', 'preempted', 'void'] as const) {
    const leader = sequenceOf(0, 300)
    const follower = sequenceOf(1, 300)
    const { followers } = followersOf(leader, 2)
    t.true(followers.follows(follower))
    leader.leave(reason)
    t.false(followers.follows(follower), reason)
  }
})
