// The hit rate of other capacities: against a replay with that capacity, exactly where everything is followed.

import { createHash } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { HitRateCurve } from '../../ts/scheduler/accounts/what-if/curve.js'
import { SampledStack } from '../../ts/scheduler/accounts/what-if/sampled-stack.js'
import { replayCapacity } from '../../ts/simulator/capacity/replay.js'
import { seededRandom } from '../../ts/simulator/random.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import type { Trace, TraceRequest } from '../../ts/simulator/traces/trace.js'
import { traceFile } from '../support/corpus.js'

const key = (id: number): string => createHash('sha256').update(String(id)).digest().toString('latin1')

/** The trace as the server would tell it: every block as a block of one token. */
function curveOf(trace: Trace, mostBlocks?: number): HitRateCurve {
  const curve = new HitRateCurve(mostBlocks)
  const keys = Array.from({ length: trace.uniqueBlocks }, (_, id) => key(id))
  const seen = new Set<number>()
  for (const { blocks, promptBlocks } of trace.requests) {
    const asked = [...blocks.subarray(0, promptBlocks)].filter(id => seen.has(id))
    curve.served(promptBlocks, asked.map(id => ({ key: keys[id] ?? '', tokens: 1, isTail: false })), [...blocks].map(id => keys[id] ?? ''))
    for (const id of blocks) seen.add(id)
  }
  return curve
}

function replayed(trace: Trace, capacityBlocks: number): number {
  const { hitBlocks, promptBlocks } = replayCapacity(trace, { policy: 'lru', capacityBlocks, lookAhead: 0 })
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
  const curve = curveOf(trace, mostBlocks)
  for (const share of [0.05, 0.2]) {
    const blocks = Math.round(share * trace.uniqueBlocks)
    const { hitRate, error } = curve.at(blocks)
    const actual = replayed(trace, blocks)
    t.log(`${trace.format}, ${100 * share} % of ${trace.uniqueBlocks} blocks: ${(100 * hitRate).toFixed(2)} ± ${(100 * error).toFixed(2)} %, replayed ${(100 * actual).toFixed(2)} %, rate ${curve.samplingRate}`)
    t.true(Math.abs(hitRate - actual) < 0.02)
    const gain = curve.gain(blocks, blocks)
    t.true(Math.abs(gain.hitRate - (replayed(trace, 2 * blocks) - actual)) < 0.02)
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
  const curve = new HitRateCurve()
  curve.served(10, [], ['head', 'tail'].map(name => name.padEnd(32)))
  curve.served(20, [{ key: 'tail'.padEnd(32), tokens: 6, isTail: true }], ['head', 'longer'].map(name => name.padEnd(32)))
  t.is(curve.sampledBlocks, 2)
  t.true(Math.abs(curve.at(2).hitRate - 6 / 30) < 1e-9)
})
