import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import { blockSizes } from '../../ts/engine/simulated/slots.js'
import { cpu2 } from '../../ts/engine/simulated/profiles/cpu-2.js'
import type { SimulatedOptions } from '../../ts/engine/simulated/options.js'
import { BLOCK_TOKENS } from '../../ts/engine/types.js'
import type { ServiceOptions } from '../../ts/scheduler/core/options.js'
import type { ServiceCounters, TurnMessage, TurnUsage } from '../../ts/service/types.js'
import { MemoryKeyedTier, MemoryPool, type PoolSetting } from '../support/memory-keyed-tier.js'
import { ask, chat, readTurn, reusedTokens, simulatedService, type Answer, type SimulatedService } from '../support/simulated-service.js'

const { blockBytes } = blockSizes(cpu2)

interface Server extends SimulatedService {
  readonly tier: MemoryKeyedTier
  counts(): NonNullable<ServiceCounters['keyedBlocks']>
}

/** A server over a pool. Servers of one model share keys: the simulated engine's stand for it by the name of the disk. */
function serverOn(pool: MemoryPool, setting: PoolSetting = {}, engine: Partial<SimulatedOptions> = {}, options: Partial<ServiceOptions> = {}): Server {
  let tier: MemoryKeyedTier | null = null
  const failures: unknown[] = []
  const served = simulatedService(
    { slots: { hbm: 40, dram: 80, ssd: 0 }, disk: new SimulatedDisk('shared'), ...engine },
    (made, clock) => ({ ...options, keyedTier: (tier = new MemoryKeyedTier(pool, made, clock, setting)) }),
    failures,
  )
  return {
    ...served,
    tier: tier as unknown as MemoryKeyedTier,
    counts: () => served.service.counters().keyedBlocks ?? fail('the service has no key-addressed tier'),
    async close() {
      await served.close()
      if (failures.length > 0) throw failures[0]
    },
  }
}

function fail(message: string): never {
  throw new Error(message)
}

const poolOf = (blocks: number) => new MemoryPool(blocks * blockBytes + 1, blockBytes)
const LONG: TurnMessage[] = [{ role: 'user', content: 'Tell me all of it, from the very beginning to the end. '.repeat(12) }]

const OTHER: TurnMessage[] = [{ role: 'user', content: `Quite another. ${LONG[0]?.content}` }]

/** Full blocks of the prompt that can be reused: at least one token is computed. */
const reusable = (usage: TurnUsage) => Math.floor((usage.promptTokens - 1) / BLOCK_TOKENS)

/** The pool after one server has answered, and the answer. */
async function filledPool(blocks = 100): Promise<{ pool: MemoryPool; answer: Answer }> {
  const pool = poolOf(blocks)
  const server = serverOn(pool)
  const answer = await ask(server.service, chat(LONG))
  await server.close()
  return { pool, answer }
}

test('a block that one server put is reused by another, and the answer is the same', async t => {
  const { pool, answer } = await filledPool()
  const server = serverOn(pool)
  const again = await ask(server.service, chat(LONG))
  t.is(again.text, answer.text)
  t.true(reusable(again.usage) >= 8)
  t.is(again.usage.reusedTokens.dram, reusable(again.usage) * BLOCK_TOKENS)
  t.is(server.counts().fetched, reusable(again.usage))
  await server.close()
})

test('a request waits for an answer that comes later, and takes the block for neither present nor absent meanwhile', async t => {
  const { pool, answer } = await filledPool()
  const answerMs = 200
  const server = serverOn(pool, { delays: { has: () => answerMs } })
  const start = server.clock.now()
  const turn = await server.service.start(chat(LONG))
  const reading = readTurn(turn)
  await server.clock.advance(answerMs - 1)
  t.deepEqual([server.tier.calls.has, server.tier.calls.get], [1, 0], 'not taken for present')
  const { running, preparing } = server.service.counters()
  t.deepEqual([running, preparing], [0, 1], 'not taken for absent')
  const again = await reading
  t.is(again?.text, answer.text)
  t.is(again && reusedTokens(again.usage), reusable(answer.usage) * BLOCK_TOKENS)
  t.true(server.clock.now() - start >= answerMs)
  t.is(server.counts().late, 0)
  await server.close()
})

test('an answer that does not come in time counts as absent, and the misses say unknown', async t => {
  for (const has of [() => Infinity, () => 10_000]) {
    const { pool, answer } = await filledPool()
    const server = serverOn(pool, { delays: { has } })
    const again = await ask(server.service, chat(LONG))
    t.is(again.text, answer.text)
    t.is(reusedTokens(again.usage), 0)
    t.is(again.usage.missedTokens.unknown, Math.floor(again.usage.promptTokens / BLOCK_TOKENS) * BLOCK_TOKENS)
    t.true(again.usage.queueMs > 0 && again.usage.queueMs <= 250, `waited ${again.usage.queueMs} ms`)
    t.is(server.counts().late, Math.floor(again.usage.promptTokens / BLOCK_TOKENS))
    await server.close()
  }
})

test('no request waits longer for an answer than computing the blocks would take', async t => {
  const fast = { ...cpu2, stepBaseMs: 0.1, stepPerRowMs: 0.01, stepPerHistoryTokenMs: 0, stepPerFewRowMs: 0, stepPerAttendedMs: 0 }
  const server = serverOn(poolOf(0), { delays: { has: () => Infinity } }, { profile: fast })
  await ask(server.service, chat(OTHER))
  const { usage } = await ask(server.service, chat(LONG))
  t.true(usage.queueMs > 0 && usage.queueMs < 50, `waited ${usage.queueMs} ms`)
  await server.close()
})

test('blocks that come too slowly are computed, and those that came are used', async t => {
  const { pool, answer } = await filledPool()
  let gets = 0
  const server = serverOn(pool, { delays: { get: () => (++gets <= 3 ? 1 : 1e6) } })
  const again = await ask(server.service, chat(LONG))
  t.is(again.text, answer.text)
  t.is(reusedTokens(again.usage), 3 * BLOCK_TOKENS)
  await server.close()
})

test('a block that the tier says it does not have is new, and no request waits for it', async t => {
  const { pool } = await filledPool()
  const server = serverOn(pool, { delays: { has: () => 0 } })
  const { usage } = await ask(server.service, chat(OTHER))
  t.is(usage.missedTokens.neverSeen, usage.promptTokens)
  t.is(server.counts().present, 0)
  t.true(server.counts().absent > 0)
  t.true(usage.queueMs < 1)
  await server.close()
})

test('a damaged block is computed again, and deleted', async t => {
  const { pool, answer } = await filledPool()
  const damaged = pool.keys[2] as string
  pool.damage(damaged)
  const server = serverOn(pool)
  const again = await ask(server.service, chat(LONG))
  t.is(again.text, answer.text)
  t.is(reusedTokens(again.usage), 2 * BLOCK_TOKENS)
  t.true(again.usage.missedTokens.damaged > 0)
  t.is(server.service.counters().droppedBlocks['damaged'], 1)
  t.is(server.tier.calls.delete, 1)
  await server.close()
  t.not(pool.get(damaged), null, 'the bytes that were computed again took the place of the damaged ones')
})

test('a block that vanishes between the answer and the get is computed', async t => {
  const { pool, answer } = await filledPool()
  const server = serverOn(pool, { delays: { get: () => (pool.delete(pool.keys.at(-1) as string), 1) } })
  const again = await ask(server.service, chat(LONG))
  t.is(again.text, answer.text)
  t.true(reusedTokens(again.usage) < reusable(again.usage) * BLOCK_TOKENS)
  await server.close()
})

test('a tier that fails at everything costs no answer, and is counted', async t => {
  const plain = serverOn(poolOf(0))
  const other = await ask(plain.service, chat(OTHER))
  await plain.close()
  for (const call of ['has', 'get', 'put'] as const) {
    const { pool, answer } = await filledPool()
    const server = serverOn(pool, { faults: { [call]: () => 'gone' } })
    t.is((await ask(server.service, chat(LONG))).text, answer.text, call)
    t.is((await ask(server.service, chat(OTHER))).text, other.text, call)
    t.true(server.counts().failed > 0, call)
    await server.close()
  }
})

test('requests that want the same blocks share their gets', async t => {
  const { pool, answer } = await filledPool()
  const server = serverOn(pool, { delays: { get: () => 20 } })
  const answers = await Promise.all([1, 2, 3].map(() => ask(server.service, chat(LONG))))
  for (const { text, usage } of answers) {
    t.is(text, answer.text)
    t.is(reusedTokens(usage), reusable(usage) * BLOCK_TOKENS)
  }
  t.is(server.tier.calls.get, reusable(answer.usage))
  t.is((await server.service.reset()).skippedInUse, 0, 'no block is wanted any more')
  await server.close()
})

test('a request whose answer is not there yet is held on while blocks of another one come', async t => {
  const { pool, answer } = await filledPool()
  let asked = 0
  const server = serverOn(pool, { delays: { has: () => (asked++ === 0 ? 150 : 1), get: () => 10 } })
  const [slow, quick] = await Promise.all([ask(server.service, chat(LONG)), ask(server.service, chat(LONG))])
  t.deepEqual([slow.text, quick.text], [answer.text, answer.text])
  t.is(reusedTokens(quick.usage), reusable(answer.usage) * BLOCK_TOKENS)
  t.true(slow.usage.queueMs >= 150, `held for ${slow.usage.queueMs} ms`)
  await server.close()
})

test('blocks that were fetched go on to the ssd, so that they can leave dram again', async t => {
  const { pool, answer } = await filledPool()
  const server = serverOn(pool, {}, { slots: { hbm: 40, dram: 80, ssd: 80 } })
  t.is((await ask(server.service, chat(LONG))).text, answer.text)
  await server.clock.advance(10_000)
  const { writtenBlocks, savedBlocks } = server.service.counters()
  t.is(writtenBlocks, savedBlocks + server.counts().fetched)
  await server.close()
})

test('what was fetched for a request that still waits for room is kept for it', async t => {
  const { pool, answer } = await filledPool()
  const server = serverOn(pool, {}, {}, { maxRunning: 1 })
  const running = readTurn(await server.service.start(chat(OTHER, { maxTokens: 1500, ignoreEos: true })))
  const waiting = readTurn(await server.service.start(chat(LONG)))
  await server.clock.advance(1000)
  const [queued] = server.service.cacheMap().queue.front
  t.is(queued?.blocks.dram, reusable(answer.usage))
  await running
  const again = await waiting
  t.is(again && reusedTokens(again.usage), reusable(answer.usage) * BLOCK_TOKENS)
  await server.close()
})

test('long histories share the places for gets, and each comes as a whole', async t => {
  const pool = poolOf(1000)
  const size: Partial<SimulatedOptions> = { slots: { hbm: 200, dram: 400, ssd: 0 }, maxBatchTokens: 1024 }
  const prompts = ['One', 'Two', 'Three'].map(beginning => chat([{ role: 'user', content: `${beginning} ${LONG[0]?.content}`.repeat(3) }]))
  const first = serverOn(pool, {}, size)
  for (const prompt of prompts) await ask(first.service, prompt)
  await first.close()
  const server = serverOn(pool, { delays: { get: () => 10 } }, size)
  for (const { usage } of await Promise.all(prompts.map(prompt => ask(server.service, prompt)))) {
    t.true(reusable(usage) > 20)
    t.is(reusedTokens(usage), reusable(usage) * BLOCK_TOKENS)
  }
  await server.close()
})

test('a block that was computed while its get was under way is saved when the get fails', async t => {
  const { pool } = await filledPool()
  let isGone = false
  const server = serverOn(pool, { delays: { get: () => 20_000 }, faults: { get: () => (isGone ? 'gone' : undefined) } })
  await ask(server.service, chat(LONG))
  isGone = true
  for (const key of pool.keys) pool.delete(key)
  const { usage } = await ask(server.service, chat(LONG, { conversation: 'again' }))
  await server.clock.advance(30_000)
  t.true(pool.keys.length >= reusable(usage), `${pool.keys.length} of ${reusable(usage)} blocks were saved and put`)
  await server.close()
})

test('where a block that this server lost cannot be had, the misses say what became of it', async t => {
  const pool = poolOf(1000)
  let isGone = false
  const server = serverOn(pool, { faults: { get: () => (isGone ? 'absent' : undefined) } }, { slots: { hbm: 14, dram: 14, ssd: 0 } })
  await ask(server.service, chat(LONG))
  for (const beginning of ['Quite', 'Really', 'Truly']) await ask(server.service, chat([{ role: 'user', content: `${beginning} another. ${LONG[0]?.content}` }]))
  isGone = true
  const { usage } = await ask(server.service, chat(LONG))
  t.true(server.tier.calls.get > 0)
  t.true(usage.missedTokens.evicted >= 6 * BLOCK_TOKENS, `${usage.missedTokens.evicted} tokens evicted`)
  await server.close()
})

test('a request that is held keeps no other waiting, and may be cancelled', async t => {
  const { pool } = await filledPool()
  const server = serverOn(pool, { delays: { has: () => 240 } })
  const held = await server.service.start(chat(LONG))
  const short = await ask(server.service, chat([{ role: 'user', content: 'Hi' }], { maxTokens: 1 }))
  t.true(short.usage.ttftMs < 240)
  t.is(server.tier.calls.has, 1, 'less than a block is not asked about')
  held.cancel()
  t.is(await readTurn(held), null)
  await server.clock.advance(1000)
  t.is(server.tier.calls.get, 0)
  await server.close()
})

test('only full blocks are put, each once', async t => {
  const pool = poolOf(100)
  const server = serverOn(pool)
  const { usage } = await ask(server.service, chat(LONG))
  await ask(server.service, chat(LONG))
  await server.clock.advance(100)
  t.is(pool.keys.length, Math.floor((usage.promptTokens + usage.completionTokens - 1) / BLOCK_TOKENS))
  t.is(server.tier.calls.put, pool.keys.length)
  await server.close()
})

test('what was erased is deleted, also where its put was under way', async t => {
  const pool = poolOf(100)
  const server = serverOn(pool, { delays: { put: () => 50_000 } })
  await ask(server.service, chat(LONG, { conversation: 'mine' }))
  t.is(pool.keys.length, 0)
  await server.service.conversations.erase('mine', null)
  await server.clock.advance(100_000)
  t.true(server.tier.calls.put > 0)
  t.deepEqual(pool.keys, [])
  await server.close()
})

test('what a conversation lost before is deleted with it, and what another one used too stays', async t => {
  const pool = poolOf(1000)
  const server = serverOn(pool, {}, { slots: { hbm: 14, dram: 14, ssd: 0 } })
  const ofConversation = async (conversation: string, beginning: string): Promise<void> => {
    await ask(server.service, chat([{ role: 'user', content: `${beginning} ${LONG[0]?.content}` }], { conversation }))
  }
  const keysOf = async (run: () => Promise<void>) => {
    const before = new Set(pool.keys)
    await run()
    await server.clock.advance(100)
    return pool.keys.filter(key => !before.has(key))
  }
  const mine = await keysOf(() => ofConversation('mine', 'Mine.'))
  const theirs = await keysOf(() => ofConversation('theirs', 'Theirs.'))
  await keysOf(() => ofConversation('third', 'Another one.'))
  await keysOf(() => ofConversation('fourth', 'And one more.'))
  t.true(mine.length >= 8 && theirs.length >= 8)
  await server.service.conversations.erase('mine', null)
  // All prompts begin alike, so another one used rows of the first block.
  const [first, ...rest] = mine as [string, ...string[]]
  t.deepEqual(rest.filter(key => pool.has(key)), [])
  t.true(pool.has(first))
  t.deepEqual(theirs.filter(key => !pool.has(key)), [])
  for (const other of ['theirs', 'third', 'fourth']) await server.service.conversations.erase(other, null)
  t.deepEqual(pool.keys, [])
  await server.close()
})

test('an erasure that the tier refuses is told', async t => {
  const pool = poolOf(100)
  const server = serverOn(pool, { faults: { delete: () => 'gone' } })
  await ask(server.service, chat(LONG, { conversation: 'mine' }))
  await t.throwsAsync(server.service.conversations.erase('mine', null), { message: /key-addressed tier failed to delete \d+ of them/ })
  await server.close()
})

test('without a dram tier a key-addressed one is refused, and without reuse it is never asked', async t => {
  const pool = poolOf(100)
  t.throws(() => serverOn(pool, {}, { slots: { hbm: 40, dram: 0, ssd: 0 } }), { code: 'keyed_tier_without_dram' })
  let tier: MemoryKeyedTier | undefined
  const server = simulatedService({}, (engine, clock) => ({ noReuse: true, keyedTier: (tier = new MemoryKeyedTier(pool, engine, clock)) }))
  await ask(server.service, chat(LONG))
  t.deepEqual(tier?.calls, { has: 0, put: 0, get: 0, delete: 0 })
  await server.close()
})
