// What an operator does with conversations; docs/design/conversations.md.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import type { SimulatedOptions } from '../../ts/engine/simulated/options.js'
import { ApiError } from '../../ts/protocol/errors.js'
import type { ServiceOptions } from '../../ts/scheduler/options.js'
import type { ConversationInfo, InferenceService, TurnMessage, TurnRequest, TurnUsage } from '../../ts/scheduler/types.js'
import { ask, chat, readTurn, reusedTokens, simulatedService } from '../support/simulated-service.js'

const user = (content: string): TurnMessage => ({ role: 'user', content })
const SYSTEM: TurnMessage = { role: 'system', content: 'You answer at length, and with care. '.repeat(8) }

/** One conversation with a tenant and an id of its own, turn by turn. */
class Talk {
  readonly messages: TurnMessage[]

  constructor(
    readonly id: string,
    readonly tenant = '',
    system: TurnMessage | null = null,
  ) {
    this.messages = system ? [system] : []
  }

  request(rest: Partial<TurnRequest> = {}): TurnRequest {
    return chat(this.messages, { conversation: this.id, tenant: this.tenant, maxTokens: 40, ignoreEos: true, ...rest })
  }

  async turn(service: InferenceService, text = `${this.id} asks: `.repeat(20)): Promise<TurnUsage> {
    this.messages.push(user(text))
    const { text: answer, usage } = await ask(service, this.request())
    this.messages.push({ role: 'assistant', content: answer })
    return usage
  }
}

function rowOf(service: InferenceService, id: string, tenant: string | null = null): ConversationInfo | undefined {
  return service.conversations.list({ tenant, text: id, before: null, limit: 10 }).rows.find(row => row.id === id)
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'ok'
  } catch (thrown) {
    return thrown instanceof ApiError ? thrown.code : String(thrown)
  }
}

function store(t: { teardown(close: () => void): void }): string {
  const dir = mkdtempSync(join(tmpdir(), 'attentionstore-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

const blocksIn = ({ tiers: { hbm, dram, ssd } }: ConversationInfo) => [hbm.blocks, dram.blocks, ssd.blocks]

test('a row says how long a conversation is and where its blocks lie', async t => {
  const served = simulatedService()
  const { promptTokens, completionTokens } = await new Talk('a').turn(served.service)
  const row = rowOf(served.service, 'a') as ConversationInfo
  t.is(row.turns, 1)
  t.is(row.tokens, promptTokens + completionTokens)
  t.is(row.activeTurns, 0)
  // The last token sampled has no KV.
  const blocks = Math.ceil((row.tokens - 1) / 64)
  t.deepEqual(blocksIn(row), [blocks, 0, 0])
  t.is(row.tiers.hbm.tokens, row.tokens - 1)
  t.deepEqual(row.strip, [{ tier: 'hbm', blocks }])
  await served.service.demote('ssd')
  t.deepEqual(blocksIn(rowOf(served.service, 'a') as ConversationInfo), [0, 0, blocks])
  await served.service.reset()
  t.deepEqual(rowOf(served.service, 'a')?.strip, [{ tier: null, blocks }])
  await served.close()
})

test('a running turn is counted', async t => {
  const served = simulatedService()
  const talk = new Talk('a')
  await talk.turn(served.service)
  talk.messages.push(user('more'))
  const turns = [await served.service.start(talk.request()), await served.service.start(talk.request())]
  t.is(rowOf(served.service, 'a')?.activeTurns, 2)
  await Promise.all(turns.map(readTurn))
  t.is(rowOf(served.service, 'a')?.activeTurns, 0)
  await served.close()
})

test('warming brings a conversation up from the disk, and the next turn finds it in hbm', async t => {
  const served = simulatedService()
  const [a, b] = [new Talk('a'), new Talk('b')]
  for (const talk of [a, b]) await talk.turn(served.service)
  await served.service.demote('ssd')
  const before = rowOf(served.service, 'a') as ConversationInfo
  const warmed = await served.service.conversations.warm('a', null)
  const { blocks } = before.tiers.ssd
  t.like(warmed, { conversation: 'a', blocks, promotedBlocks: blocks })
  // The last block is partly filled: it is copied when its turn comes.
  t.is(warmed.loadedBlocks, blocks - 1)
  t.deepEqual(warmed.tiers, { hbm: blocks - 1, dram: 1, ssd: 0 })
  t.deepEqual(blocksIn(rowOf(served.service, 'b') as ConversationInfo)[2], blocks)
  const usage = await a.turn(served.service)
  t.true(usage.reusedTokens.hbm >= 64 * (blocks - 1))
  t.is(usage.reusedTokens.ssd, 0)
  t.deepEqual(await served.service.conversations.warm('a', null).then(w => w.promotedBlocks), 0)
  await served.close()
})

test('a conversation that is larger than dram is warmed as far as it fits', async t => {
  const served = simulatedService({ slots: { hbm: 40, dram: 6, ssd: 100 } })
  const talk = new Talk('a')
  for (let turn = 0; turn < 3; turn++) await talk.turn(served.service)
  await served.service.demote('ssd')
  const { blocks } = rowOf(served.service, 'a')?.tiers.ssd ?? { blocks: 0 }
  t.true(blocks > 6)
  const { tiers } = await served.service.conversations.warm('a', null)
  t.true(tiers.hbm + tiers.dram >= 5)
  t.is(tiers.hbm + tiers.dram + tiers.ssd, blocks)
  served.service.checkIntegrity()
  await talk.turn(served.service)
  await served.close()
})

test('demoting a conversation leaves what others share with it', async t => {
  const served = simulatedService()
  const [a, b] = [new Talk('a', '', SYSTEM), new Talk('b', '', SYSTEM)]
  for (const talk of [a, b]) await talk.turn(served.service)
  const shared = Math.floor((rowOf(served.service, 'a') as ConversationInfo).tiers.hbm.blocks / 3)
  t.true(shared > 0)
  const receipt = await served.service.conversations.demote('a', null, 'ssd')
  t.is(receipt.skippedInUse, 0)
  t.true(receipt.skippedShared >= shared)
  const row = rowOf(served.service, 'a') as ConversationInfo
  t.deepEqual(blocksIn(row), [receipt.skippedShared, 0, receipt.demotedBlocks])
  t.is(rowOf(served.service, 'b')?.tiers.ssd.blocks, 0)
  await served.close()
})

test('a fork shares the blocks of the last turn and goes on from there under its own id', async t => {
  const served = simulatedService({}, { newConversationId: () => 'the-fork' })
  const talk = new Talk('a', 'acme')
  const { promptTokens } = await talk.turn(served.service)
  const origin = rowOf(served.service, 'a') as ConversationInfo
  const forked = await served.service.conversations.fork('a', null)
  t.deepEqual(forked, { conversation: 'the-fork', forkedFrom: 'a', tenant: 'acme', sharedBlocks: origin.tiers.hbm.blocks })
  t.like(rowOf(served.service, 'the-fork'), { tenant: 'acme', turns: 1, tokens: origin.tokens, forkedFrom: 'a', tiers: origin.tiers })
  const fork = new Talk('the-fork', 'acme')
  fork.messages.push(...talk.messages)
  const usage = await fork.turn(served.service, 'and now something else')
  t.true(reusedTokens(usage) >= promptTokens)
  t.is(rowOf(served.service, 'the-fork')?.turns, 2)
  t.is(rowOf(served.service, 'a')?.turns, 1)
  await served.close()
})

test('what is erased is gone from every tier, from the disk, and from the records', async t => {
  const disk = new SimulatedDisk('disk')
  const served = simulatedService({ disk }, { dataDir: store(t) })
  // Of different tenants, because the words of the template alone are enough for a match.
  const [a, b] = [new Talk('a'), new Talk('b', 'other')]
  const first = await a.turn(served.service)
  await b.turn(served.service)
  await served.service.demote('ssd')
  await served.service.conversations.warm('a', null)
  const { blocks } = (await served.service.conversations.warm('a', null))
  const extents = disk.extents.size
  const receipt = await served.service.conversations.erase('a', null)
  t.like(receipt, { conversation: 'a', tenant: '', recordsErased: 1, keptShared: [] })
  t.deepEqual(receipt.erased.copies, { hbm: blocks - 1, dram: blocks, ssd: blocks })
  t.is(receipt.erased.blocks, blocks)
  const { blockBytes, hostSlotBytes } = served.engine.info
  t.is(receipt.erased.bytes, (blocks - 1) * blockBytes + 2 * blocks * hostSlotBytes)
  t.is(disk.extents.size, extents - blocks)
  served.service.checkIntegrity()
  t.is(rowOf(served.service, 'a'), undefined)
  t.is(await codeOf(served.service.conversations.erase('a', null)), 'not_found')
  const again = new Talk('a')
  t.deepEqual({ ...(await again.turn(served.service)).reusedTokens }, { hbm: 0, dram: 0, ssd: 0 })
  t.is(rowOf(served.service, 'a')?.turns, 1)
  t.is(first.reusedTokens.hbm, 0)
  t.true(reusedTokens(await b.turn(served.service)) > 0)
  t.is(served.service.counters().droppedBlocks['erased'], blocks)
  await served.close()
})

test('what is erased stays erased after a restart, and what was not is found', async t => {
  const dataDir = store(t)
  const disk = new SimulatedDisk('disk')
  const engine: Partial<SimulatedOptions> = { disk }
  const service: Partial<ServiceOptions> = { dataDir }
  let served = simulatedService(engine, service)
  const [a, b] = [new Talk('a'), new Talk('b', 'other')]
  for (const talk of [a, b]) await talk.turn(served.service)
  await served.close()
  served = simulatedService(engine, service)
  const { blocks } = rowOf(served.service, 'a')?.tiers.ssd ?? { blocks: 0 }
  t.true(blocks > 0)
  const receipt = await served.service.conversations.erase('a', null)
  t.deepEqual(receipt.erased.copies, { hbm: 0, dram: 0, ssd: blocks })
  await served.close()
  served = simulatedService(engine, service)
  t.is(rowOf(served.service, 'a'), undefined)
  t.is(rowOf(served.service, 'b')?.tiers.ssd.blocks, blocks)
  a.messages.pop()
  t.is(reusedTokens((await ask(served.service, a.request())).usage), 0)
  t.true(reusedTokens(await b.turn(served.service)) > 0)
  await served.close()
})

test('blocks that other conversations use are kept and named, until the last of them is erased', async t => {
  const served = simulatedService()
  const talks = [new Talk('a', '', SYSTEM), new Talk('b', '', SYSTEM), new Talk('c', '', SYSTEM)] as const
  for (const talk of talks) await talk.turn(served.service)
  const a = await served.service.conversations.erase('a', null)
  t.true(a.keptShared.length > 0)
  for (const { key, referrers } of a.keptShared) {
    t.regex(key, /^[0-9a-f]{64}$/)
    t.deepEqual([...referrers].toSorted(), ['b', 'c'])
  }
  t.true(reusedTokens(await talks[1].turn(served.service)) > 0)
  const b = await served.service.conversations.erase('b', null)
  t.deepEqual(b.keptShared, a.keptShared.map(({ key }) => ({ key, referrers: ['c'] })))
  const c = await served.service.conversations.erase('c', null)
  t.deepEqual(c.keptShared, [])
  for (const tier of served.service.cacheStatus().tiers) t.is(tier.blocks.total, 0, tier.name)
  await served.close()
})

test('erasing a fork leaves the conversation it came from, and the other way round', async t => {
  const served = simulatedService({}, { newConversationId: () => 'fork' })
  const talk = new Talk('a')
  await talk.turn(served.service)
  await served.service.conversations.fork('a', null)
  const whole = rowOf(served.service, 'a')?.tiers
  const kept = await served.service.conversations.erase('fork', null)
  t.is(kept.erased.blocks, 0)
  t.deepEqual(rowOf(served.service, 'a')?.tiers, whole)
  await served.service.conversations.fork('a', null)
  await served.service.conversations.erase('a', null)
  t.deepEqual(rowOf(served.service, 'fork')?.tiers, whole)
  await served.close()
})

test('while a turn runs its conversation is not erased, and what it shares with others is kept', async t => {
  const served = simulatedService()
  const [a, b] = [new Talk('a', '', SYSTEM), new Talk('b', '', SYSTEM)]
  await a.turn(served.service)
  b.messages.push(user('a question'))
  // b has not been released yet: only its running turn says that it uses the blocks of the system prompt.
  const running = await served.service.start(b.request())
  t.is(await codeOf(served.service.conversations.erase('b', null)), 'in_use')
  const { keptShared, erased } = await served.service.conversations.erase('a', null)
  t.true(keptShared.length > 0)
  t.deepEqual(keptShared[0]?.referrers, ['b'])
  t.true(erased.blocks > 0)
  t.truthy(await readTurn(running))
  t.is(await codeOf(served.service.conversations.erase('b', null)), 'ok')
  for (const tier of served.service.cacheStatus().tiers) t.is(tier.blocks.total, 0, tier.name)
  await served.close()
})

test('a cancelled turn is waited for, and what it computed is erased too', async t => {
  const served = simulatedService()
  const talk = new Talk('a')
  talk.messages.push(user('a long question '.repeat(40)))
  const turn = await served.service.start(talk.request({ maxTokens: 500 }))
  for await (const _ of turn) break
  const receipt = await served.service.conversations.erase('a', null)
  t.true(receipt.erased.blocks > 0)
  for (const tier of served.service.cacheStatus().tiers) t.is(tier.blocks.total, 0, tier.name)
  await served.close()
})

test('blocks whose transfers are under way are erased, also from the slot that is being written', async t => {
  const disk = new SimulatedDisk('disk')
  const served = simulatedService({ disk, faults: { slowdown: kind => (kind === 'write' ? 1e4 : 1) } })
  const talk = new Talk('a')
  await talk.turn(served.service)
  const receipt = await served.service.conversations.erase('a', null)
  t.true(receipt.erased.copies.ssd > 0)
  t.is(disk.extents.size, 0)
  served.service.checkIntegrity()
  for (const tier of served.service.cacheStatus().tiers) t.is(tier.usedBytes, 0, tier.name)
  await served.close()
})

test('a disk that cannot be overwritten is reported, and the blocks are not found all the same', async t => {
  const served = simulatedService({ faults: { fails: transfer => (transfer.kind === 'erase' ? 'kv_io' : undefined) } })
  const talk = new Talk('a')
  await talk.turn(served.service)
  await served.service.demote('ssd')
  t.is(await codeOf(served.service.conversations.erase('a', null)), 'engine_error')
  talk.messages.pop()
  t.is(reusedTokens((await ask(served.service, talk.request())).usage), 0)
  served.service.checkIntegrity()
  await served.close()
})

test('conversations of different tenants are apart, also with the same id and the same words', async t => {
  const served = simulatedService()
  const [a, b, alone] = [new Talk('same', 'acme', SYSTEM), new Talk('same', 'other', SYSTEM), new Talk('alone', 'acme', SYSTEM)]
  const first = await a.turn(served.service)
  const second = await b.turn(served.service)
  t.is(second.computedTokens, first.computedTokens)
  t.is(reusedTokens(second), 0)
  t.true(reusedTokens(await alone.turn(served.service)) > 0)
  const { conversations } = served.service
  t.is(conversations.list({ tenant: 'acme', text: null, before: null, limit: 10 }).total, 2)
  t.is(await codeOf(conversations.erase('same', null)), 'invalid_value')
  t.is(await codeOf(conversations.erase('alone', 'other')), 'not_found')
  t.is(await codeOf(conversations.fork('alone', '')), 'not_found')
  const { keptShared } = await conversations.erase('same', 'acme')
  t.deepEqual(new Set(keptShared.flatMap(({ referrers }) => referrers)), new Set(['alone']))
  t.true(reusedTokens(await b.turn(served.service)) > 0)
  t.is((await conversations.erase('same', null)).tenant, 'other')
  await served.close()
})

test('without a dram tier there is nothing to warm', async t => {
  const served = simulatedService({ slots: { hbm: 32, dram: 0, ssd: 0 } })
  await new Talk('a').turn(served.service)
  t.is(await codeOf(served.service.conversations.warm('a', null)), 'tier_disabled')
  t.is(await codeOf(served.service.conversations.demote('a', null, 'ssd')), 'tier_disabled')
  t.is((await served.service.conversations.erase('a', null)).erased.copies.ssd, 0)
  await served.close()
})

test('a service that keeps nothing lists its conversations, and erases what there is', async t => {
  const served = simulatedService({}, { noReuse: true })
  await new Talk('a').turn(served.service)
  t.deepEqual(blocksIn(rowOf(served.service, 'a') as ConversationInfo), [0, 0, 0])
  t.like(await served.service.conversations.erase('a', null), { recordsErased: 1, keptShared: [] })
  await served.close()
})

test('who is forgotten refers to nothing any more', async t => {
  const served = simulatedService({}, { maxConversations: 1 })
  const [a, b] = [new Talk('a', '', SYSTEM), new Talk('b', '', SYSTEM)]
  await a.turn(served.service)
  await b.turn(served.service)
  t.is(rowOf(served.service, 'a'), undefined)
  t.deepEqual((await served.service.conversations.erase('b', null)).keptShared, [])
  served.service.checkIntegrity()
  await served.close()
})
