// Why prompt tokens were not reused: sums that always hold, and what became of blocks that were there once.

import test from 'ava'
import fc from 'fast-check'
import { KeyFilter } from '../../ts/directory/key-filter.js'
import { LostTails } from '../../ts/directory/lost-tails.js'
import { SimulatedDisk } from '../../ts/engine/simulated/disk.js'
import type { TurnUsage } from '../../ts/service/types.js'
import { ask, chat, reusedTokens, simulatedService, type SimulatedService } from '../support/simulated-service.js'

const sum = (values: Readonly<Record<string, number>>): number => Object.values(values).reduce((total, value) => total + value, 0)

/** A prompt of these token ids, answered with `maxTokens` tokens. */
async function send(served: SimulatedService, tokens: readonly number[], tenant = '', maxTokens = 8): Promise<{ usage: TurnUsage; all: number[] }> {
  const prompt = { kind: 'tokens', tokens: Uint32Array.from(tokens) } as const
  const answer = await ask(served.service, { ...chat([]), prompt, tenant, maxTokens, ignoreEos: true })
  return { usage: answer.usage, all: [...tokens, ...answer.tokens] }
}

const ids = (count: number, salt = 0): number[] => Array.from({ length: count }, (_, i) => (i * 31 + salt * 7) % 200)

test('a prompt that is new was never seen; sent again, only the token that the answer is sampled from is computed', async t => {
  const served = simulatedService()
  const first = await send(served, ids(200))
  t.deepEqual(first.usage.missedTokens, { neverSeen: 200, reasoningDropped: 0, promptScored: 0, evicted: 0, damaged: 0, outsideView: 0, unknown: 0 })
  const again = await send(served, ids(200))
  t.deepEqual(again.usage.missedTokens, { neverSeen: 1, reasoningDropped: 0, promptScored: 0, evicted: 0, damaged: 0, outsideView: 0, unknown: 0 })
  t.is(reusedTokens(again.usage), 199)
  await served.close()
})

test('what was dropped is told as evicted, to the token, the last partly filled block included', async t => {
  const served = simulatedService()
  const { all } = await send(served, ids(200), '', 10)
  await served.service.reset()
  const { usage } = await send(served, [...all, ...ids(50, 3)])
  // The last sampled token's KV was never computed.
  t.deepEqual(usage.missedTokens, { neverSeen: 51, reasoningDropped: 0, promptScored: 0, evicted: 209, damaged: 0, outsideView: 0, unknown: 0 })
  await served.close()
})

test('blocks that do not read back are told as damaged', async t => {
  const disk = new SimulatedDisk('disk')
  const served = simulatedService({ disk })
  const { all } = await send(served, ids(200))
  await served.service.demote('ssd')
  disk.extents.clear()
  const { usage } = await send(served, all)
  t.true(usage.missedTokens.damaged > 0)
  t.is(usage.missedTokens.neverSeen + usage.missedTokens.damaged, usage.computedTokens)
  await served.close()
})

test("another tenant's blocks are never seen, whether they are there or have been evicted", async t => {
  const served = simulatedService()
  const nothingTold = { neverSeen: 200, reasoningDropped: 0, promptScored: 0, evicted: 0, damaged: 0, outsideView: 0, unknown: 0 }
  await send(served, ids(200), 'one')
  t.deepEqual((await send(served, ids(200), 'two')).usage.missedTokens, nothingTold)
  await served.service.reset()
  t.deepEqual((await send(served, ids(200), 'three')).usage.missedTokens, nothingTold)
  await served.close()
})

test('without reuse every token was never seen', async t => {
  const served = simulatedService({}, { noReuse: true })
  for (let i = 0; i < 2; i++) t.is((await send(served, ids(200))).usage.missedTokens.neverSeen, 200)
  await served.close()
})

test('blocks that left longer ago than is remembered are unknown', async t => {
  // Eight slots in all tiers remember 40 ghosts.
  const served = simulatedService({ slots: { hbm: 8, dram: 0, ssd: 0 } })
  await send(served, ids(192, 99))
  for (let salt = 0; salt < 20; salt++) await send(served, ids(192, salt))
  const { usage } = await send(served, ids(192, 99))
  t.is(usage.missedTokens.unknown, 192)
  await served.close()
})

const step = fc.record({
  kind: fc.constantFrom('new', 'continue', 'continue', 'fork', 'reset', 'demote', 'damage'),
  which: fc.nat(),
  length: fc.integer({ min: 1, max: 260 }),
  tenant: fc.constantFrom('a', 'b'),
})

/** Leading tokens of `prompt` whose KV some request of the tenant computed. The last sampled token's never was. */
function seenBefore(prompt: readonly number[], sequences: ReadonlyArray<readonly number[]>): number {
  return Math.max(0, ...sequences.map(sequence => {
    const differs = sequence.slice(0, -1).findIndex((token, i) => token !== prompt[i])
    return differs < 0 ? Math.min(sequence.length - 1, prompt.length) : differs
  }))
}

test('whatever happened before: reused + missed = prompt, missed = computed + outside view, and nothing seen is never seen', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 14 }), async steps => {
      const disk = new SimulatedDisk('disk')
      const served = simulatedService({ disk, slots: { hbm: 14, dram: 10, ssd: 24 } })
      const sent: Record<string, number[][]> = { a: [], b: [] }
      const total = { prompt: 0, computed: 0, missed: 0 }
      for (const [i, { kind, which, length, tenant }] of steps.entries()) {
        if (kind === 'reset') await served.service.reset()
        if (kind === 'demote' || kind === 'damage') await served.service.demote(which % 2 === 0 ? 'dram' : 'ssd')
        if (kind === 'damage') disk.extents.clear()
        const known = sent[tenant] ?? []
        const before = known[which % Math.max(1, known.length)] ?? []
        const kept = kind === 'new' ? [] : kind === 'fork' ? before.slice(0, which % (before.length + 1)) : before
        const prompt = [...kept, ...ids(length, i + 1)].slice(0, 600)
        const seen = seenBefore(prompt, known)
        const { usage, all } = await send(served, prompt, tenant)
        const { neverSeen } = usage.missedTokens
        const missed = sum(usage.missedTokens)
        t.is(missed, usage.computedTokens + usage.outsideViewTokens)
        t.is(reusedTokens(usage) + missed, usage.promptTokens)
        // A fork inside a block that has left is told apart from what is new only where that block begins.
        const mostUnnoticed = 63 + (seen === prompt.length ? 1 : 0)
        t.true(neverSeen >= prompt.length - seen, `${neverSeen} of ${prompt.length} never seen, ${seen} were`)
        t.true(neverSeen <= prompt.length - seen + mostUnnoticed, `${neverSeen} never seen, ${seen} of ${prompt.length} were`)
        known.push(all)
        total.prompt += usage.promptTokens
        total.computed += usage.computedTokens
        total.missed += missed
      }
      const counters = served.service.counters()
      t.is(sum(counters.missedTokens), total.missed)
      t.is(counters.promptTokens, total.prompt)
      t.is(counters.computedTokens, total.computed)
      await served.close()
    }),
    { numRuns: 40 },
  )
})

const key = (n: number): string => String.fromCharCode(...Array.from({ length: 32 }, (_, i) => (Math.imul(n + 1, 0x9e3779b1 + 2 * i) >>> 13) & 255))

test('a key filter never denies a key of the last ones it was given, seldom owns another, and forgets', t => {
  const filter = new KeyFilter(500)
  for (let n = 0; n < 5000; n++) {
    filter.add(key(n))
    if (n >= 499) t.true(filter.mayHold(key(n - 499)))
  }
  let taken = 0
  for (let n = 10_000; n < 20_000; n++) if (filter.mayHold(key(n))) taken++
  t.true(taken < 200, `${taken} of 10,000`)
  t.false(Array.from({ length: 100 }, (_, n) => filter.mayHold(key(n))).every(Boolean))
})

test('a lost tail is found by what it follows and begins with, until it is removed', t => {
  const tails = new LostTails()
  tails.add({ key: 'x', parent: 'parent', tokens: Uint32Array.of(1, 2, 3), users: ['a'] })
  tails.add({ key: 'y', parent: 'parent', tokens: Uint32Array.of(1, 5), users: ['a', 'b'] })
  t.deepEqual(tails.best('parent', Uint32Array.of(1, 2, 9)), { key: 'x', rows: 2 })
  t.is(tails.best('other', Uint32Array.of(1, 2, 3)), undefined)
  t.is(tails.best('parent', Uint32Array.of(7)), undefined)
  t.deepEqual(tails.of('a'), ['x', 'y'])
  t.deepEqual(tails.of('b'), ['y'])
  tails.remove('x')
  t.deepEqual(tails.best('parent', Uint32Array.of(1, 2, 9)), { key: 'y', rows: 1 })
  for (let n = 0; n < 20; n++) tails.add({ key: `n${n}`, parent: 'parent', tokens: Uint32Array.of(n + 10), users: [] })
  t.is(tails.best('parent', Uint32Array.of(1)), undefined)
  t.deepEqual(tails.best('parent', Uint32Array.of(29)), { key: 'n19', rows: 1 })
})
