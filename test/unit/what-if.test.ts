// The hit rate of other capacities: against a replay with that capacity, exactly where everything is followed.

import { createHash } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { createPolicy } from '../../ts/placement/registry.js'
import type { PolicyName } from '../../ts/placement/types.js'
import { perTier } from '../../ts/protocol/tiers.js'
import { anchored, anchoredError } from '../../ts/scheduler/accounts/what-if/anchor.js'
import { HitRateCurve } from '../../ts/scheduler/accounts/what-if/curve.js'
import { Miniature } from '../../ts/scheduler/accounts/what-if/miniature.js'
import { followedCapacities } from '../../ts/scheduler/accounts/what-if/miniatures.js'
import type { Asked, ServedTurn } from '../../ts/scheduler/accounts/what-if/turn.js'
import { WantedKeys } from '../../ts/scheduler/accounts/what-if/wanted.js'
import { SampledStack } from '../../ts/scheduler/accounts/what-if/sampled-stack.js'
import { replayCapacity } from '../../ts/simulator/capacity/replay.js'
import { seededRandom } from '../../ts/simulator/random.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import type { Trace, TraceRequest } from '../../ts/simulator/traces/trace.js'
import { traceFile } from '../support/corpus.js'

const key = (id: number): string => createHash('sha256').update(String(id)).digest().toString('latin1')

const NOTHING = perTier(() => 0)

function turn(promptTokens: number, asked: readonly Asked[], chain: readonly string[], atMs = 0): ServedTurn {
  return { promptTokens, asked, chain, hasTail: false, atMs, retention: 'none' }
}

interface CurveSetting {
  readonly mostBlocks?: number | undefined
  readonly policy?: PolicyName
  readonly capacities?: readonly number[]
}

/** The trace as the server would tell it: every block as a block of one token. */
function curveOf(trace: Trace, { mostBlocks = 16_384, policy = 'lru', capacities = [] }: CurveSetting = {}): HitRateCurve {
  const curve = new HitRateCurve({ policy, capacities, mostBlocks })
  const keys = Array.from({ length: trace.uniqueBlocks }, (_, id) => key(id))
  const seen = new Set<number>()
  for (const { blocks, promptBlocks, atMs } of trace.requests) {
    const asked = [...blocks.subarray(0, promptBlocks)].filter(id => seen.has(id))
    const found = asked.map(id => ({ key: keys[id] ?? '', tokens: 1, isTail: false }))
    curve.served(turn(promptBlocks, found, [...blocks].map(id => keys[id] ?? ''), atMs), NOTHING)
    for (const id of blocks) seen.add(id)
  }
  return curve
}

function replayed(trace: Trace, capacityBlocks: number, policy: PolicyName = 'lru'): number {
  const { hitBlocks, promptBlocks } = replayCapacity(trace, { policy, capacityBlocks, lookAhead: 0 })
  return hitBlocks / promptBlocks
}

function request(i: number, blocks: readonly number[], promptBlocks: number): TraceRequest {
  const tokens = promptBlocks * 64
  return { atMs: i, inputTokens: tokens, outputTokens: 1, reusableTokens: tokens, blocks: Int32Array.from(blocks), promptBlocks, hasPartialTail: false }
}

/** Conversations that grow turn by turn, some of them more lively than others, behind a few system prompts. */
function generatedTrace(requests: number, seed: number): Trace {
  const random = seededRandom(seed)
  const systems = Array.from({ length: 4 }, (_, s) => [4 * s, 4 * s + 1, 4 * s + 2])
  const open: number[][] = []
  let unique = 16
  const list = Array.from({ length: requests }, (_, i) => {
    const isNew = open.length < 20 || random() < 0.12
    const which = Math.floor(open.length * random() ** 3)
    const history = isNew ? [...(systems[Math.floor(4 * random())] ?? [])] : [...(open.at(-1 - which) ?? [])]
    const question = 1 + Math.floor(4 * random())
    const answer = 1 + Math.floor(4 * random())
    for (let b = 0; b < question + answer; b++) history.push(unique++)
    if (isNew) open.push(history)
    else open[open.length - 1 - which] = history
    return request(i, history, history.length - answer)
  })
  return { format: 'generated', blockTokens: 64, uniqueBlocks: unique, beginnings: new Map(), machine: null, requests: list }
}

const anyTrace = fc.array(fc.tuple(fc.nat(60), fc.nat(3)), { minLength: 1, maxLength: 60 }).map((ends): Trace => {
  const chains = ends.map(([end]) => {
    const chain: number[] = []
    for (let block = end + 1; block > 0; block = block >> 1) chain.unshift(block - 1)
    return chain
  })
  const requests = chains.map((chain, i) => request(i, chain, Math.max(1, chain.length - (ends[i]?.[1] ?? 0))))
  return { format: 'tree', blockTokens: 64, uniqueBlocks: 64, beginnings: new Map(), machine: null, requests }
})

test('where every block is followed, the curve is the replay at every small capacity', t => {
  fc.assert(
    fc.property(anyTrace, fc.integer({ min: 1, max: 32 }), (trace, capacity) => {
      const { hitRate, error } = curveOf(trace).at(capacity)
      t.true(error >= 0)
      t.true(Math.abs(hitRate - replayed(trace, capacity)) < 1e-9, `${hitRate} instead of ${replayed(trace, capacity)} at ${capacity}`)
    }),
  )
})

function compare(t: ExecutionContext, trace: Trace, mostBlocks?: number): void {
  const curve = curveOf(trace, { mostBlocks })
  for (const share of [0.05, 0.2]) {
    const blocks = Math.round(share * trace.uniqueBlocks)
    const { hitRate, error } = curve.at(blocks)
    const actual = replayed(trace, blocks)
    t.log(`${trace.format}, ${100 * share} % of ${trace.uniqueBlocks} blocks: ${(100 * hitRate).toFixed(2)} ± ${(100 * error).toFixed(2)} %, replayed ${(100 * actual).toFixed(2)} %, rate ${curve.samplingRate}`)
    t.true(Math.abs(hitRate - actual) < 0.02)
    const gained = curve.at(2 * blocks).hitRate - hitRate
    t.true(Math.abs(gained - (replayed(trace, 2 * blocks) - actual)) < 0.02)
    t.true(curve.difference(blocks, 2 * blocks) >= 0)
  }
  t.true(curve.sampledBlocks <= (mostBlocks ?? 16_384))
}

for (const seed of [1, 2, 3]) {
  test(`within two points of the replay on generated conversations, seed ${seed}, with a few of the blocks`, t => {
    compare(t, generatedTrace(8000, seed), 2048)
  })
}

const mooncake = traceFile('mooncake_conversation_trace.jsonl.xz')
const onMooncake = mooncake === null ? test.skip : test
onMooncake('within two points of the replay on the Mooncake trace', async t => {
  compare(t, await readTrace(mooncake ?? ''))
})

test('a stack that follows everything counts the blocks used since', t => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 200 }), uses => {
      const stack = new SampledStack(32)
      let order: number[] = []
      for (const id of uses) {
        const at = order.indexOf(id)
        t.is(stack.distance(key(id)), at < 0 ? Infinity : at)
        stack.use(key(id))
        order = [id, ...order.filter(other => other !== id)]
        t.is(stack.size, order.length)
      }
    }),
  )
})

test('a stack never follows more blocks than it may, and scales what it counts', t => {
  const stack = new SampledStack(100)
  for (let id = 0; id < 10_000; id++) stack.use(key(id))
  t.true(stack.size <= 100)
  t.true(stack.rate <= 100 / 5000)
  const oldest = Array.from({ length: 10_000 }, (_, id) => key(id)).find(k => stack.isFollowed(k)) ?? ''
  t.true(Math.abs(stack.distance(oldest) - 10_000) < 5000)
})

test('a tail that was taken over takes no room any more', t => {
  const curve = new HitRateCurve({ policy: 'lru', capacities: [] })
  curve.served(turn(10, [], ['head', 'tail'].map(name => name.padEnd(32))), NOTHING)
  curve.served(turn(20, [{ key: 'tail'.padEnd(32), tokens: 6, isTail: true }], ['head', 'longer'].map(name => name.padEnd(32))), NOTHING)
  t.is(curve.sampledBlocks, 2)
  t.true(Math.abs(curve.at(2).hitRate - 6 / 30) < 1e-9)
})

for (const policy of ['fifo', 'scheduler-aware', 'adaptive'] as const) {
  test(`where every block is followed, the miniature of ${policy} is the replay at its own capacity`, t => {
    const trace = generatedTrace(1500, 7)
    const capacity = 500
    const { hitRate, error } = curveOf(trace, { policy, capacities: [capacity] }).at(capacity)
    const actual = replayed(trace, capacity, policy)
    t.log(`${policy}: ${(100 * hitRate).toFixed(2)} ± ${(100 * error).toFixed(2)} %, replayed ${(100 * actual).toFixed(2)} %`)
    t.true(actual > 0.05 && actual < 0.95, 'the capacity matters')
    t.true(Math.abs(hitRate - actual) < 0.01)
  })
}

test('a sample of the blocks in a smaller cache gives the hit rate of the large one', t => {
  const trace = generatedTrace(3000, 11)
  const keys = Array.from({ length: trace.uniqueBlocks }, (_, id) => key(id))
  const capacity = 2400
  const miniature = new Miniature(capacity, createPolicy('lru'), 600)
  const seen = new Set<number>()
  const totals = { prompt: 0, asked: 0 }
  for (const { blocks, promptBlocks, atMs } of trace.requests) {
    const asked = [...blocks.subarray(0, promptBlocks)].filter(id => seen.has(id)).map(id => ({ key: keys[id] ?? '', tokens: 1, isTail: false }))
    miniature.served(turn(promptBlocks, asked, [...blocks].map(id => keys[id] ?? ''), atMs), () => Infinity)
    totals.prompt += promptBlocks
    totals.asked += asked.length
    for (const id of blocks) seen.add(id)
  }
  const rates = miniature.rates(totals)
  const estimate = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  const actual = replayed(trace, capacity)
  t.log(`${(100 * estimate).toFixed(2)} %, replayed ${(100 * actual).toFixed(2)} %`)
  t.true(Math.abs(estimate - actual) < 0.03)
  t.true(miniature.size <= 600 * 5, 'residents and ghosts are bounded')
})

test('the capacities that are followed lie around those of the tiers, which are among them exactly', t => {
  const followed = followedCapacities([100, 1000, 0])
  for (const own of [100, 1000]) t.true(followed.includes(own))
  for (const part of [50, 200, 500, 2000, 4000]) t.true(followed.some(blocks => Math.abs(Math.log(blocks / part)) <= Math.log(1.2)), `${part}`)
  t.deepEqual(followed, followed.toSorted((a, b) => a - b))
  t.deepEqual(followedCapacities([0, 0]), [])
})

test('a block that a queued request wants stays, also where the server itself has given it up', t => {
  const told = new Map<string, number>()
  const wanted = new WantedKeys((name, first) => void told.set(name, first))
  wanted.want(1, ['a'])
  wanted.leave(1)
  wanted.settle()
  t.is(told.size, 0, 'a request that is alone is not told of')
  wanted.want(4, ['a', 'b'])
  wanted.want(2, ['b'])
  t.is(wanted.size, 2)
  wanted.settle()
  t.deepEqual([wanted.firstOf('a'), wanted.firstOf('b')], [4, 2])
  wanted.leave(2)
  t.deepEqual(Object.fromEntries(told), { a: 4, b: 4 })
  wanted.leave(4)
  t.deepEqual(Object.fromEntries(told), { a: Infinity, b: Infinity })
  t.is(wanted.size, 0)

  const run = (isWanted: boolean): number => {
    const curve = new HitRateCurve({ policy: 'scheduler-aware', capacities: [2] })
    const [a, b, c] = ['a', 'b', 'c'].map(name => key(name.charCodeAt(0))) as [string, string, string]
    curve.served(turn(1, [], [a]), NOTHING)
    if (isWanted) curve.queued(1, [a])
    curve.served(turn(1, [], [b]), NOTHING)
    curve.served(turn(1, [], [c]), NOTHING)
    curve.left(1)
    curve.served(turn(1, [{ key: a, tokens: 1, isTail: false }], [a]), NOTHING)
    return curve.at(2).hitRate
  }
  t.true(run(true) > run(false))
})

test('the anchored curve goes through the measured rate, through nothing and the rate of a cache without a bound, and rises', t => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 0.99, noNaN: true }), fc.double({ min: 0.01, max: 1, noNaN: true }), fc.double({ min: 0.01, max: 1, noNaN: true }), (attainable, a, b) => {
      const anchor = { modelled: a * attainable * 0.99, measured: b * attainable, attainable }
      t.is(anchored(anchor.modelled, anchor), anchor.measured)
      t.is(anchored(0, anchor), 0)
      t.true(Math.abs(anchored(attainable, anchor) - attainable) < 1e-9)
      const rates = Array.from({ length: 21 }, (_, i) => anchored((i / 20) * attainable, anchor))
      rates.forEach((rate, i) => t.true(rate <= attainable + 1e-9 && rate >= (rates[i - 1] ?? 0) - 1e-9))
    }),
  )
})

test('the error of an anchored estimate is nothing where it was measured, and has the whole move at half and double of that', t => {
  t.is(anchoredError(0, 0.1, 1), 0)
  for (const ratio of [0.5, 2, 4, 0]) t.is(anchoredError(0, 0.1, ratio), 0.1)
  t.true(anchoredError(0.03, 0.04, 2) > 0.0499 && anchoredError(0.03, 0.04, 2) < 0.0501)
})
