import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import type { ApiError, ExitError } from '../../ts/protocol/errors.js'
import { contextThatFits, type RequestLogRecord, type ServiceOptions } from '../../ts/scheduler/core/options.js'
import { mayJoin } from '../../ts/scheduler/costs/hidden-loads.js'
import { Rates } from '../../ts/scheduler/costs/rates.js'
import type { TurnMessage, TurnUsage } from '../../ts/service/types.js'
import { greedy } from '../support/sampling.js'
import { ask, chat, readTurn, reusedTokens, simulatedService, type SimulatedService } from '../support/simulated-service.js'

const user = (content: string): TurnMessage => ({ role: 'user', content })

/** Turns of one conversation; answers the usages. `between` runs before every turn but the first. */
async function converse(
  served: () => SimulatedService,
  turns: number,
  between: (turn: number) => Promise<unknown> = async () => undefined,
  words = 30,
): Promise<{ usages: TurnUsage[]; texts: string[] }> {
  const messages: TurnMessage[] = []
  const usages: TurnUsage[] = []
  const texts: string[] = []
  for (let turn = 0; turn < turns; turn++) {
    if (turn > 0) await between(turn)
    messages.push(user(`turn ${turn}: `.repeat(words)))
    const answer = await ask(served().service, chat(messages, { ignoreEos: true, sampling: { ...greedy, temperature: 1, seed: 3n } }))
    messages.push({ role: 'assistant', content: answer.text })
    usages.push(answer.usage)
    texts.push(answer.text)
  }
  return { usages, texts }
}

/** From the second turn on, everything of the turn before is reused, up to two tokens. */
function assertReused(t: { true(value: boolean, message?: string): void }, usages: readonly TurnUsage[], tier?: 'hbm' | 'dram' | 'ssd'): void {
  for (let turn = 1; turn < usages.length; turn++) {
    const [before, now] = [usages[turn - 1], usages[turn]] as [TurnUsage, TurnUsage]
    const reused = tier ? now.reusedTokens[tier] : reusedTokens(now)
    // Two bytes of the toy vocabulary are no characters by themselves: what lies behind one is tokenised anew.
    t.true(reused >= before.promptTokens, `turn ${turn}: ${reused} of ${before.promptTokens} prompt tokens`)
  }
}

async function recomputed(turns: number): Promise<string[]> {
  const served = simulatedService({}, { noReuse: true })
  const { usages, texts } = await converse(() => served, turns)
  for (const usage of usages) if (reusedTokens(usage) > 0) throw new Error('--no-reuse reused')
  await served.close()
  return texts
}

test('from the second turn on only the last two tokens of the turn before are computed again', async t => {
  const served = simulatedService()
  const messages: TurnMessage[] = []
  let before = 0
  for (let turn = 0; turn < 5; turn++) {
    messages.push(user('a question '.repeat(12)))
    // A stop that is never found: the answer ends at max_tokens, on a character boundary.
    const { text, tokens, usage } = await ask(served.service, chat(messages, { ignoreEos: true, maxTokens: 40 }))
    t.true(reusedTokens(usage) >= before - 2, `turn ${turn}`)
    t.is(reusedTokens(usage) + usage.computedTokens, usage.promptTokens)
    messages.push({ role: 'assistant', content: text })
    before = usage.promptTokens + (text.includes('\ufffd') ? 0 : tokens.length)
  }
  await served.close()
})

for (const [name, to, tier] of [['dram', 'dram', 'dram'], ['the ssd', 'ssd', 'ssd']] as const) {
  test(`after a demotion to ${name} every turn is served from there, with the same answers`, async t => {
    const served = simulatedService()
    const { usages, texts } = await converse(() => served, 4, () => served.service.demote(to))
    assertReused(t, usages, tier)
    t.deepEqual(texts, await recomputed(4))
    await served.close()
  })
}

test('after a restart the ssd serves what was there before, with the same answers', async t => {
  const dataDir = mkdtempSync(join(tmpdir(), 'attentionstore-'))
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
  const disk = new SimulatedDisk('disk')
  const open = () => simulatedService({ disk }, { dataDir })
  let served = open()
  const { usages, texts } = await converse(() => served, 3, async () => {
    await served.close()
    served = open()
  })
  assertReused(t, usages, 'ssd')
  t.deepEqual(texts, await recomputed(3))
  await served.close()
})

test('a store of another model is foreign, and answers are computed', async t => {
  const dataDir = mkdtempSync(join(tmpdir(), 'attentionstore-'))
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
  let served = simulatedService({ disk: new SimulatedDisk('one') }, { dataDir })
  const { usages } = await converse(() => served, 2, async () => {
    await served.close()
    served = simulatedService({ disk: new SimulatedDisk('another') }, { dataDir })
  })
  t.is(reusedTokens(usages[1] as TurnUsage), 0)
  t.true((served.service.counters().droppedBlocks['foreign'] ?? 0) > 0)
  await served.close()
})

test('a disk whose blocks are lost costs misses, not answers', async t => {
  const disk = new SimulatedDisk('disk')
  const served = simulatedService({ disk })
  const { texts } = await converse(() => served, 3, async () => {
    await served.service.demote('ssd')
    disk.extents.clear()
  })
  t.deepEqual(texts, await recomputed(3))
  t.true((served.service.counters().droppedBlocks['damaged'] ?? 0) > 0)
  await served.close()
})

test('a load that fails makes its rows void: the tokens are computed again, and the request goes on', async t => {
  let failures = 0
  const served = simulatedService({ faults: { fails: transfer => (transfer.kind === 'load' && failures++ < 1 ? 'io' : undefined) } })
  const { texts } = await converse(() => served, 3, () => served.service.demote('dram'))
  t.deepEqual(texts, await recomputed(3))
  t.true(failures > 0)
  await served.close()
})

const modes: Record<string, Partial<ServiceOptions>> = {
  'without overlap': { overlap: false },
  'without preload': { preload: false },
  'with all layers preloaded': { preloadLayers: 30 },
  'with none preloaded': { preloadLayers: 0 },
  'with synchronous saves': { syncSave: true },
  'with small batches': { maxBatchTokens: 17 },
}
for (const [name, options] of Object.entries(modes)) {
  test(`${name} the answers are the same`, async t => {
    const served = simulatedService({}, options)
    const { usages, texts } = await converse(() => served, 3, turn => served.service.demote(turn === 1 ? 'ssd' : 'dram'))
    assertReused(t, usages)
    t.deepEqual(texts, await recomputed(3))
    await served.close()
  })
}

for (const [name, slots, dramStagingOnly] of [
  ['only hbm', { hbm: 40, dram: 0, ssd: 0 }, false],
  ['hbm and dram', { hbm: 40, dram: 60, ssd: 0 }, false],
  ['hbm and ssd', { hbm: 40, dram: 4, ssd: 60 }, true],
] as const) {
  test(`with ${name} turns are reused, and memory ends where it should`, async t => {
    const served = simulatedService({ slots, dramStagingOnly })
    const { usages, texts } = await converse(() => served, 3)
    assertReused(t, usages)
    t.deepEqual(texts, await recomputed(3))
    await served.clock.advance(5000)
    if (dramStagingOnly) t.is(served.service.cacheStatus().tiers[1]?.blocks.total, 0)
    await t.throwsAsync(served.service.demote(slots.ssd === 0 ? 'ssd' : 'dram'), { code: 'tier_disabled' })
    await served.close()
  })
}

test('when hbm runs out the youngest is preempted, and only recomputed_tokens tells', async t => {
  const served = simulatedService({ slots: { hbm: 17, dram: 60, ssd: 200 } })
  const alone = simulatedService({}, { maxContext: 1024 })
  const requests = Array.from({ length: 12 }, (_, i) => chat([user(`conversation ${i} `.repeat(12))], { ignoreEos: true, maxTokens: 150 }))
  const answers = await Promise.all(requests.map(request => ask(served.service, request)))
  t.true(served.service.counters().preemptions > 0)
  for (const [i, request] of requests.entries()) {
    const expected = await ask(alone.service, request)
    t.is(answers[i]?.text, expected.text)
    t.is(answers[i]?.usage.promptTokens, expected.usage.promptTokens)
    t.is(answers[i]?.usage.completionTokens, expected.usage.completionTokens)
  }
  await served.close()
  await alone.close()
})

test('a cancelled turn is in no plan after the next one', async t => {
  const served = simulatedService()
  const turn = await served.service.start(chat([user('go on')], { ignoreEos: true, maxTokens: 4000 }))
  for await (const event of turn) if (event.type === 'delta') break
  const { steps } = served.engine.stats()
  await served.clock.advance(60_000)
  t.true(served.engine.stats().steps - steps <= 2)
  t.is(served.service.counters().running, 0)
  t.is(served.service.counters().requestsTotal.cancelled, 1)
  await served.close()
})

test('a queue that is full says so, and when to come back', async t => {
  const served = simulatedService({}, { maxQueue: 2, maxRunning: 1 })
  const start = () => served.service.start(chat([user('wait')], { ignoreEos: true }))
  const turns = [await start(), await start(), await start()]
  const error = (await t.throwsAsync(start())) as ApiError
  t.is(error.code, 'queue_full')
  t.true(Number(error.context['retry_after']) >= 1)
  t.is(served.service.counters().requestsTotal.rejected, 1)
  await Promise.all(turns.map(readTurn))
  await served.close()
})

test('a prompt that fills the context is refused with both counts, max_tokens is cut to what fits', async t => {
  const served = simulatedService({}, { maxContext: 128 })
  const error = (await t.throwsAsync(ask(served.service, chat([user('x'.repeat(400))])))) as ApiError
  t.is(error.code, 'context_length_exceeded')
  t.is(error.context['max_model_len'], 128)
  t.true(Number(error.context['prompt_tokens']) > 400)
  const { usage, finish } = await ask(served.service, chat([user('short')], { ignoreEos: true, maxTokens: 1000 }))
  t.is(finish, 'length')
  t.is(usage.promptTokens + usage.completionTokens, 128)
  await served.close()
})

test('a context that the hbm tier cannot hold is refused at once', t => {
  t.is(contextThatFits(17), 1024)
  t.is(contextThatFits(0), 0)
  const error = t.throws(() => simulatedService({ slots: { hbm: 4, dram: 0, ssd: 0 } }, { maxContext: 1024 })) as ExitError
  t.is(error.exitCode, 2)
  t.is(error.context['fits'], 192)
})

test('token ids outside the vocabulary are refused', async t => {
  const served = simulatedService()
  const request = { ...chat([]), prompt: { kind: 'tokens', tokens: Uint32Array.of(1, 70_000) } } as const
  t.is(((await t.throwsAsync(served.service.start(request))) as ApiError).code, 'invalid_value')
  await served.close()
})

test('without reuse nothing is kept and no file is opened', async t => {
  const dataDir = join(mkdtempSync(join(tmpdir(), 'attentionstore-')), 'data')
  const served = simulatedService({}, { noReuse: true, dataDir })
  await converse(() => served, 2)
  await served.clock.advance(1000)
  for (const tier of served.service.cacheStatus().tiers) t.is(tier.blocks.total, 0)
  t.is(served.engine.stats().saveBytes, 0)
  t.false(existsSync(dataDir))
  t.is(readdirSync(join(dataDir, '..')).length, 0)
  await served.close()
  rmSync(join(dataDir, '..'), { recursive: true })
})

test('a reset drops every block that nobody uses, in all tiers', async t => {
  const served = simulatedService()
  await converse(() => served, 2)
  await served.service.demote('ssd')
  t.true((await served.service.reset()).removedBlocks > 0)
  for (const tier of served.service.cacheStatus().tiers) t.is(tier.usedBytes, 0)
  await served.close()
})

test('KV that no turn touched for the time to live is dropped, what was touched stays', async t => {
  const served = simulatedService({}, { sessionTtlMs: 60_000 })
  await converse(() => served, 1)
  await served.clock.advance(50_000)
  const { usage } = await ask(served.service, chat([user('another conversation')], { ignoreEos: true, cacheSalt: 'nothing shared' }))
  await served.clock.advance(30_000)
  t.true((served.service.counters().droppedBlocks['ttl'] ?? 0) > 0)
  const kept = usage.promptTokens + usage.completionTokens - 1
  t.is(served.service.cacheStatus().tiers[0]?.blocks.total, Math.ceil(kept / 64))
  await served.clock.advance(60_000)
  for (const tier of served.service.cacheStatus().tiers) t.is(tier.blocks.total, 0)
  await served.close()
})

test('a slow disk never holds the answers up: what it cannot take is dropped and counted', async t => {
  const slots = { hbm: 20, dram: 6, ssd: 400 }
  const slow = simulatedService({ slots, faults: { slowdown: kind => (kind === 'write' ? 1e5 : 1) } })
  const fast = simulatedService({ slots })
  const run = async ({ service, clock }: SimulatedService) => {
    const start = clock.now()
    for (let i = 0; i < 12; i++) await ask(service, chat([user(`another one ${i} `.repeat(40))], { ignoreEos: true }))
    return clock.now() - start
  }
  const [slowMs, fastMs] = [await run(slow), await run(fast)]
  t.true(slowMs < fastMs * 1.05, `${slowMs} ms instead of ${fastMs} ms`)
  t.true((slow.service.counters().droppedBlocks['write_queue_full'] ?? 0) > 0)
  t.is(fast.service.counters().droppedBlocks['write_queue_full'], 0)
  await fast.close()
})

test('the request log names blocks by salted hashes: equal for what is shared, and no keys', async t => {
  const records: RequestLogRecord[] = []
  const served = simulatedService({}, { onRequestLogged: record => records.push(record) })
  await converse(() => served, 2)
  await served.clock.advance(1)
  const [first, second] = records as [RequestLogRecord, RequestLogRecord]
  t.is(first.block_hashes.length, Math.ceil((first.input_tokens + first.output_tokens) / 64))
  t.deepEqual(second.block_hashes.slice(0, first.block_hashes.length - 2), first.block_hashes.slice(0, -2))
  t.true(second.reused > 0)
  t.is(first.conversation, second.conversation)
  await served.close()
})

test('closing lets running answers finish in time, and refuses new work', async t => {
  const served = simulatedService()
  const turn = await served.service.start(chat([user('last words')], { ignoreEos: true }))
  const closed = served.service.close(60_000)
  t.false(served.service.ready)
  const error = (await t.throwsAsync(served.service.start(chat([user('late')])))) as ApiError
  t.is(error.code, 'draining')
  t.truthy(await readTurn(turn))
  await closed
  await served.service.close(0)
})

test('closing cuts off what does not finish in time', async t => {
  const served = simulatedService()
  const turn = await served.service.start(chat([user('endless')], { ignoreEos: true, maxTokens: 3000 }))
  await served.service.close(100)
  t.is(((await t.throwsAsync(readTurn(turn))) as ApiError).code, 'draining')
})

test('when the engine fails every turn hears of it, and no more work is taken', async t => {
  const served = simulatedService()
  const turn = await served.service.start(chat([user('hello')], { ignoreEos: true, maxTokens: 1000 }))
  const ended = t.throwsAsync(readTurn(turn))
  served.engine.onEvents([{ kind: 'failed', code: 'device_lost', message: 'the device is gone' }])
  t.is(((await ended) as ApiError).code, 'engine_error')
  t.false(served.service.ready)
  t.is(((await t.throwsAsync(served.service.start(chat([user('again')])))) as ApiError).code, 'engine_error')
})

test('a tenant, or a salt, never sees the blocks of another', async t => {
  const served = simulatedService()
  const request = chat([user('the same words '.repeat(20))])
  await ask(served.service, request)
  t.is(reusedTokens((await ask(served.service, { ...request, tenant: 'b' })).usage), 0)
  t.is(reusedTokens((await ask(served.service, { ...request, cacheSalt: 's' })).usage), 0)
  t.true(reusedTokens((await ask(served.service, request)).usage) > 0)
  await served.close()
})

test('a request joins a batch when the rest of its load hides behind the step', t => {
  const question = { remainingMs: 8, totalMs: 20, stepMs: 10, layers: 10, preloadLayers: null }
  t.true(mayJoin(question))
  t.false(mayJoin({ ...question, remainingMs: 8.2 }))
  t.false(mayJoin({ ...question, preloadLayers: 10 }))
  t.true(mayJoin({ ...question, preloadLayers: 6 }))
  t.true(mayJoin({ ...question, preloadLayers: 10, remainingMs: 0 }))
})

test('predictions follow what was measured, and know nothing before', t => {
  const rates = new Rates()
  t.is(rates.stepMs(8), 0)
  t.is(rates.loadMs(1), Infinity)
  rates.stepTook(8, 10)
  rates.stepTook(256, 500)
  t.is(rates.stepMs(7), 10)
  t.is(rates.stepMs(300), 500)
  rates.loadTook(1000, 10)
  t.is(rates.loadMs(500), 5)
})
