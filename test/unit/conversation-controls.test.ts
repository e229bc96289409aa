// What an operator does with conversations; docs/design/conversations.md.

import test from 'ava'
import type { ConversationInfo } from '../../ts/service/types.js'
import { readTurn, reusedTokens, simulatedService } from '../support/simulated-service.js'
import { blocksIn, codeOf, rowOf, SYSTEM, Talk, user } from '../support/talk.js'

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
  const { tiers, promotedBlocks } = await served.service.conversations.warm('a', null)
  t.true(tiers.hbm + tiers.dram >= 5)
  t.is(tiers.hbm + tiers.dram + tiers.ssd, blocks)
  // What was brought up made no room for the rest of it: read once, and still there.
  t.is(promotedBlocks, 6)
  t.is(rowOf(served.service, 'a')?.strip.at(-1)?.tier, 'ssd')
  served.service.checkIntegrity()
  await talk.turn(served.service)
  await served.close()
})

test('warming makes room from what others left there, and never from the conversation itself', async t => {
  const served = simulatedService({ slots: { hbm: 40, dram: 24, ssd: 100 } })
  const [a, b] = [new Talk('a'), new Talk('b')]
  for (let turn = 0; turn < 3; turn++) await a.turn(served.service)
  await served.service.demote('ssd')
  for (let turn = 0; turn < 3; turn++) await b.turn(served.service)
  const { blocks } = rowOf(served.service, 'a')?.tiers.ssd ?? { blocks: 0 }
  const warmed = await served.service.conversations.warm('a', null)
  t.is(warmed.promotedBlocks, blocks)
  t.is(warmed.tiers.ssd, 0)
  served.service.checkIntegrity()
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
  t.deepEqual(forked, { conversation: 'the-fork', forkedFrom: 'a', tenant: 'acme', sharedBlocks: origin.tiers.hbm.blocks, durable: true })
  t.like(rowOf(served.service, 'the-fork'), { tenant: 'acme', turns: 1, tokens: origin.tokens, forkedFrom: 'a', tiers: origin.tiers })
  const fork = new Talk('the-fork', 'acme')
  fork.messages.push(...talk.messages)
  const usage = await fork.turn(served.service, 'and now something else')
  t.true(reusedTokens(usage) >= promptTokens)
  t.is(rowOf(served.service, 'the-fork')?.turns, 2)
  t.is(rowOf(served.service, 'a')?.turns, 1)
  await served.close()
})

test('conversations of different tenants are apart, also with the same id and the same words', async t => {
  const served = simulatedService()
  const [a, b, alone] = [new Talk('same', 'acme', SYSTEM), new Talk('same', 'other', SYSTEM), new Talk('alone', 'acme', SYSTEM)]
  const first = await a.turn(served.service)
  const second = await b.turn(served.service)
  t.is(second.computedTokens, first.computedTokens)
  // Nor does the time tell that somebody else has asked the same.
  t.is(Math.round(second.ttftMs * 1000), Math.round(first.ttftMs * 1000))
  t.true((await a.turn(served.service)).ttftMs < first.ttftMs)
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
