// Several answers to one request: what is computed for them, and what they are.

import test from 'ava'
import type { SimulatedOptions } from '../../../ts/engine/simulated/options.js'
import type { ServiceOptions } from '../../../ts/scheduler/core/options.js'
import { seedOfChoice } from '../../../ts/surfaces/choices.js'
import type { TurnRequest, TurnUsage } from '../../../ts/service/types.js'
import { askChoices, singles, startChoices } from '../../support/choices.js'
import { Random } from '../../support/random.js'
import { greedy } from '../../support/sampling.js'
import { ask, chat, readTurn, simulatedService } from '../../support/simulated-service.js'
import { codeOf } from '../../support/talk.js'

const sampled = (seed: bigint) => ({ ...greedy, temperature: 1, seed })

/** Prompts of ids that no text has: as long as asked for, to the token. */
function prompt(length: number, rest: Partial<TurnRequest> = {}): TurnRequest {
  const tokens = Uint32Array.from({ length }, (_, i) => 1000 + ((i * 7919) % 5000))
  return chat([], { prompt: { kind: 'tokens', tokens }, ignoreEos: true, maxTokens: 16, sampling: sampled(7n), ...rest })
}

function serve(options: Partial<ServiceOptions> = {}, engine: Partial<SimulatedOptions> = {}) {
  const failures: unknown[] = []
  return { ...simulatedService({ vocabSize: 8192, ...engine }, options, failures), failures }
}

const computed = (usages: readonly TurnUsage[]) => usages.reduce((sum, { computedTokens }) => sum + computedTokens, 0)
const usagesOf = (answers: ReadonlyArray<{ readonly usage: TurnUsage }>) => answers.map(({ usage }) => usage)

test('four answers to a prompt of 300 tokens compute it once, and are those of four requests with the derived seeds', async t => {
  const served = serve()
  const answers = await askChoices(served.service, prompt(300), 4)
  t.is(computed(usagesOf(answers)), 300 + 3)
  t.is(served.service.counters().computedTokens, 300 + 3)
  t.is(new Set(answers.map(({ text }) => text)).size, 4, 'four different answers')
  await served.close()
  const alone = serve({ noReuse: true })
  for (const [choice, request] of singles(prompt(300), 4).entries()) {
    t.deepEqual(answers[choice]?.tokens, (await ask(alone.service, request)).tokens, `choice ${choice}`)
  }
  t.deepEqual([...served.failures, ...alone.failures], [])
  await alone.close()
})

test('the first answer is that of a request for one with the same seed', async t => {
  const served = serve()
  const [first] = await askChoices(served.service, prompt(300), 3)
  t.deepEqual(first?.tokens, (await ask(served.service, prompt(300))).tokens)
  await served.close()
})

test('the seed of an answer is derived from the request’s and its number, and JSON can carry it', t => {
  t.is(seedOfChoice(7n, 0), 7n)
  // echo -n 7/1 | sha256sum
  t.is(seedOfChoice(7n, 1), 0xd3d2f5798ea0n)
  const seeds = Array.from({ length: 16 }, (_, choice) => seedOfChoice(2n ** 64n - 1n, choice))
  t.is(new Set(seeds).size, 16)
  t.true(seeds.slice(1).every(seed => seed <= BigInt(Number.MAX_SAFE_INTEGER)))
})

test('without randomness all answers are equal', async t => {
  const served = serve()
  const answers = await askChoices(served.service, prompt(100, { sampling: greedy }), 4)
  for (const { tokens } of answers) t.deepEqual(tokens, answers[0]?.tokens)
  await served.close()
})

for (const length of [2, 17, 64, 65, 70, 128, 300]) {
  test(`of a prompt of ${length} tokens each answer after the first computes the last token alone, though waiting takes longer`, async t => {
    const served = serve()
    // From here on the costs of prompts are known, and two requests would not wait for each other.
    await ask(served.service, prompt(500, { tenant: 'other' }))
    const before = served.service.counters().computedTokens
    await askChoices(served.service, prompt(length), 4)
    t.is(served.service.counters().computedTokens - before, length + 3)
    t.deepEqual(served.failures, [])
    await served.close()
  })
}

test('with --no-reuse no answer waits for another one, and each computes the prompt', async t => {
  const served = serve({ noReuse: true })
  const answers = await askChoices(served.service, prompt(300), 4)
  t.is(computed(usagesOf(answers)), 4 * 300)
  t.deepEqual(served.service.counters().followed, { requests: 0, tokens: 0 })
  await served.close()
})

test('an answer of one token ends before the others begin, and they share its prompt all the same', async t => {
  const served = serve()
  const answers = await askChoices(served.service, prompt(300, { maxTokens: 1 }), 4)
  t.is(computed(usagesOf(answers)), 300 + 3)
  t.deepEqual(served.failures, [])
  await served.close()
})

test('the answers to a prompt beyond the window share it too', async t => {
  const served = serve({ contextWindow: 256, maxContext: 1024 })
  const answers = await askChoices(served.service, prompt(900, { truncation: 'auto' }), 4)
  const [first, ...others] = usagesOf(answers)
  for (const usage of others) t.is(usage.computedTokens, 1)
  t.true((first?.computedTokens ?? 0) <= 256)
  t.deepEqual(served.failures, [])
  await served.close()
})

test('an answer goes on from where the one that computed the prompt was cancelled, and the others follow it', async t => {
  const served = serve()
  const [leader, ...others] = await startChoices(served.service, prompt(2048), 4)
  const answers = others.map(readTurn)
  await served.clock.advance(1500)
  leader?.cancel()
  const usages = usagesOf((await Promise.all(answers)) as Array<{ usage: TurnUsage }>)
  t.true(computed(usages) <= 2048 + 2, `${computed(usages)} tokens computed`)
  t.true(computed(usages) >= 64, 'the cancelled one had not come to the end')
  t.is(served.service.counters().requestsTotal.cancelled, 1)
  t.deepEqual(served.failures, [])
  await served.close()
})

test('an answer whose leader is preempted takes over', async t => {
  const served = serve({}, { slots: { hbm: 12, dram: 64, ssd: 64 } })
  const older = ask(served.service, prompt(200, { maxTokens: 300, tenant: 'other' }))
  const answers = await askChoices(served.service, prompt(250, { maxTokens: 150 }), 3)
  await older
  t.true(served.service.counters().preemptions > 0)
  t.true(computed(usagesOf(answers)) < 1.5 * 250, `${computed(usagesOf(answers))} tokens computed`)
  t.deepEqual(served.failures, [])
  await served.close()
})

test('an answer whose leader’s loads fail goes on without it', async t => {
  const faults = { fails: ({ kind }: { readonly kind: string }) => (kind === 'copy' ? 'injected' : undefined) }
  const served = serve({}, { faults })
  const answers = await askChoices(served.service, prompt(300), 4)
  t.is(answers.length, 4)
  t.deepEqual(served.failures, [])
  await served.close()
})

test('answers that cannot run side by side follow each other, and compute the prompt once', async t => {
  const served = serve({ maxRunning: 1 })
  const answers = await askChoices(served.service, prompt(300), 4)
  t.is(computed(usagesOf(answers)), 300 + 3)
  t.deepEqual(served.failures, [])
  await served.close()
})

test('the prompt is tokenised once, and a constraint is compiled once', async t => {
  const served = serve()
  const { text } = served.engine
  const calls: string[] = []
  const [compile, encodeChat] = [text.compile.bind(text), text.encodeChat.bind(text)]
  text.compile = source => (calls.push('compile'), compile(source))
  text.encodeChat = (...of) => (calls.push('encode'), encodeChat(...of))
  const constraint = { kind: 'choice', choices: ['yes', 'no'] } as const
  const answers = await askChoices(served.service, chat([{ role: 'user', content: 'Well?' }], { constraint, sampling: sampled(3n) }), 4)
  t.deepEqual(calls.toSorted(), ['compile', 'encode'])
  for (const { text: said } of answers) t.true(['yes', 'no'].includes(said), said)
  await served.close()
})

test('the queue counts every answer, and takes all of them or none', async t => {
  const served = serve({ maxQueue: 4, maxRunning: 1 })
  const running = await served.service.start(prompt(300))
  t.is(await codeOf(startChoices(served.service, prompt(300), 5)), 'invalid_value')
  const waiting = await startChoices(served.service, prompt(300), 3)
  t.is(await codeOf(startChoices(served.service, prompt(300), 2)), 'queue_full')
  t.is(served.service.counters().queued, 3)
  const last = await served.service.start(prompt(300))
  t.is(await codeOf(served.service.start(prompt(300))), 'queue_full')
  for (const turn of [running, ...waiting, last]) turn.cancel()
  t.is(served.service.counters().requestsTotal.rejected, 5 + 2 + 1)
  await served.close()
})

test('a request that is refused leaves nothing in the queue', async t => {
  const served = serve({ maxContext: 256 })
  t.is(await codeOf(startChoices(served.service, prompt(300), 4)), 'context_length_exceeded')
  t.is(served.service.counters().queued + served.service.counters().running, 0)
  t.is(served.service.counters().requestsTotal.rejected, 4)
  await served.close()
})

test('each answer is a request of its own in counters and records', async t => {
  const served = serve()
  const answers = await askChoices(served.service, prompt(300), 3)
  const { requestsTotal, promptTokens, completionTokens, computedTokens, reusedTokens } = served.service.counters()
  t.is(requestsTotal.ok, 3)
  t.is(promptTokens, 900)
  t.is(completionTokens, 48)
  t.is(computedTokens + reusedTokens.hbm, 900)
  const { records } = served.service.records.page(undefined, 10)
  t.deepEqual(records.map(({ request_id: id }) => id).toSorted(), ['request-0', 'request-1', 'request-2'])
  t.is(new Set(records.map(({ conversation }) => conversation)).size, 1)
  t.is(answers[0]?.usage.conversation, records[0]?.conversation)
  await served.close()
})

test('requests that waited for a prompt in flight are counted once, with the tokens that they waited for', async t => {
  const served = serve()
  await askChoices(served.service, prompt(300), 4)
  t.deepEqual(served.service.counters().followed, { requests: 3, tokens: 3 * 299 })
  // All is there: none has to wait.
  await askChoices(served.service, prompt(300), 4)
  t.deepEqual(served.service.counters().followed, { requests: 3, tokens: 3 * 299 })
  // So do those of several clients.
  await Promise.all([1, 2].map(() => ask(served.service, prompt(400, { tenant: 'other' }))))
  t.deepEqual(served.service.counters().followed, { requests: 4, tokens: 3 * 299 + 399 })
  await served.close()
})

test('a lone client with several answers a request gives no rate of arrivals', async t => {
  const times: number[] = []
  for (const n of [1, 4]) {
    const served = serve()
    for (let turn = 0; turn < 4; turn++) await askChoices(served.service, prompt(200, { tenant: `${turn}` }), n)
    const before = served.clock.now()
    await ask(served.service, prompt(2048, { maxTokens: 1, tenant: 'last' }))
    times.push(served.clock.now() - before)
    await served.close()
  }
  t.is(times[1], times[0], 'steps are as long as before')
})

test('random requests with several answers, cancelled and failing at random, keep the books and end', async t => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  t.log(`SEED=${seed}`)
  const random = new Random(seed)
  const below = (bound: number) => random.below(bound)
  for (let round = 0; round < 8; round++) {
    const served = serve(
      { maxRunning: 2 + below(20), overlap: below(2) === 0 },
      {
        slots: { hbm: 24 + below(40), dram: 48 + below(64), ssd: 64 + below(128) },
        faults: { fails: ({ kind }) => (kind !== 'flush' && random.next() < 0.02 ? 'injected' : undefined) },
      },
    )
    const asked = await Promise.all(
      Array.from({ length: 8 }, async () => {
        await served.clock.advance(below(40))
        return startChoices(served.service, prompt(1 + below(700), { maxTokens: 1 + below(80) }), 1 + below(6))
      }),
    )
    const turns = asked.flat()
    const ends = turns.map(turn => readTurn(turn))
    for (const turn of turns) if (random.next() < 0.3) turn.cancel()
    await Promise.all(ends)
    t.deepEqual(served.failures, [])
    served.service.checkIntegrity()
    t.is(served.service.counters().queued + served.service.counters().running, 0)
    await served.close()
  }
})
