// All tiers: traces small enough to be worked out by hand, and a service's own log replayed.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { cpu2 } from '../../ts/engine/simulated/profiles/cpu-2.js'
import { profileNamed, profileNames } from '../../ts/engine/simulated/profiles/registry.js'
import { blockSizes } from '../../ts/engine/simulated/slots.js'
import type { RequestLogRecord } from '../../ts/scheduler/core/options.js'
import { replayTiers } from '../../ts/simulator/tiered/replay.js'
import { runBaseline, runTiered, type TieredResult } from '../../ts/simulator/tiered/result.js'
import { SIMULATED_TOKENS, TraceTokens } from '../../ts/simulator/tiered/tokens.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import type { Trace, TraceRequest } from '../../ts/simulator/traces/trace.js'
import { Random } from '../support/random.js'
import { chat, readTurn, reusedTokens, simulatedService } from '../support/simulated-service.js'
import { FakeTerminal } from './support/terminal.js'

const folder = mkdtempSync(join(tmpdir(), 'attentionstore-tiers-'))
test.after.always(() => rmSync(folder, { recursive: true, force: true }))

const { blockBytes, hostSlotBytes } = blockSizes(cpu2)
const tiers = (hbm: number, dram: number, ssd: number) => ({ hbm: hbm * blockBytes, dram: dram * hostSlotBytes, ssd: ssd * hostSlotBytes })

function request(atMs: number, blocks: readonly number[], inputTokens: number, outputTokens: number): TraceRequest {
  const promptBlocks = Math.ceil(inputTokens / 64)
  return { atMs, inputTokens, outputTokens, reusableTokens: inputTokens, blocks: Int32Array.from(blocks), promptBlocks, hasPartialTail: false }
}

function traceOf(requests: readonly TraceRequest[]): Trace {
  const uniqueBlocks = Math.max(...requests.flatMap(({ blocks }) => [...blocks])) + 1
  return { format: 'test', blockTokens: 64, uniqueBlocks, beginnings: new Map(), machine: null, requests }
}

// Turns of two conversations, A (blocks 0 …) and B (blocks 10 …), minutes apart; answers fill blocks too.
const MINUTE = 60_000
const turns = traceOf([
  request(0, [0, 1, 2], 128, 64),
  request(MINUTE, [10, 11, 12], 128, 64),
  request(2 * MINUTE, [0, 1, 2, 3, 4], 256, 64),
  request(3 * MINUTE, [10, 11, 12, 13, 14], 256, 64),
])

async function run(trace: Trace, tierBytes: ReturnType<typeof tiers>, warmUp = 0): Promise<TieredResult> {
  const options = { trace, profile: cpu2, tierBytes, warmUp }
  return runTiered(options, 'lru', await runBaseline(options, () => {}), () => {})
}

// Of 192 tokens of a first turn, the last one sampled was never computed.
const KEPT = 191

test('what fits in hbm is served from there, to the token', async t => {
  const result = await run(turns, tiers(64, 64, 64))
  t.is(result.prompt_tokens, 768)
  t.is(result.hit_tokens, 2 * KEPT)
  t.is(result.hit_rate_by_tier.hbm, result.token_hit_rate)
  t.is(result.miss_rate_by_cause.never_seen, (768 - 2 * KEPT) / 768)
  t.is(result.block_hit_rate, 4 / 12)
  t.is(result.any_block_hit_rate, 4 / 12)
  t.is(result.bytes.loaded, 0)
})

test('what does not fit in hbm comes from dram, and what fits there neither from ssd', async t => {
  const fromDram = await run(turns, tiers(6, 64, 64))
  t.true(fromDram.hit_rate_by_tier.dram > 0)
  t.is(fromDram.hit_tokens, 2 * KEPT)
  t.true(fromDram.bytes.loaded > 0)
  const fromSsd = await run(turns, tiers(6, 4, 64))
  t.true(fromSsd.hit_rate_by_tier.ssd > 0)
  t.is(fromSsd.hit_tokens, 2 * KEPT)
  t.true(fromSsd.bytes.ssd_read > 0)
  t.true((fromSsd.ssd_drive_writes_per_day ?? 0) > 0)
})

test('what fits nowhere is missed because it was evicted', async t => {
  const result = await run(turns, tiers(6, 0, 0))
  t.true(result.hit_tokens < 2 * KEPT)
  t.true(result.miss_rate_by_cause.evicted > 0)
  t.is(result.ssd_drive_writes_per_day, null)
})

test('a block whose head is gone was there, and is no hit: fifo leaves such ones behind', async t => {
  const trace = traceOf([request(0, [0, 1, 2, 3], 192, 64), request(MINUTE, [10, 11], 64, 64), request(2 * MINUTE, [0, 1, 2, 3], 192, 64)])
  const options = { trace, profile: cpu2, tierBytes: tiers(5, 0, 0), warmUp: 0 }
  const fifo = await runTiered(options, 'fifo', await runBaseline(options, () => {}), () => {})
  t.is(fifo.block_hit_rate, 0)
  t.is(fifo.any_block_hit_rate, 2 / 7, 'the head went, the two full blocks after it are there')
  const lru = await run(trace, tiers(5, 0, 0))
  t.is(lru.block_hit_rate, 2 / 7)
  t.is(lru.any_block_hit_rate, lru.block_hit_rate)
})

test('without reuse everything is computed: more work, later first tokens, dearer tokens', async t => {
  const { without_reuse: without, ...result } = await run(turns, tiers(64, 64, 64))
  t.true(without.accelerator_s > result.accelerator_s)
  t.true(without.ttft_ms.p95 > result.ttft_ms.p95)
  t.true(without.cost.accelerator > result.cost.accelerator)
  t.is(without.cost.storage, 0)
  t.true(without.prefill_tokens_per_s < result.prefill_tokens_per_s)
})

test('a warm-up is served and not counted', async t => {
  const result = await run(turns, tiers(64, 64, 64), 2)
  t.like(result, { requests: 2, warm_up_requests: 2, prompt_tokens: 512, hit_tokens: 2 * KEPT })
})

test('a prompt that no tier could hold is refused and counted, and the rest goes on', async t => {
  const long = request(10, Array.from({ length: 70 }, (_, i) => 20 + i), 70 * 64, 1)
  const result = await run(traceOf([...turns.requests, long].toSorted((a, b) => a.atMs - b.atMs)), tiers(16, 64, 64))
  t.like(result, { requests: 4, refused_requests: 1, hit_tokens: 2 * KEPT })
})

test('a run is the same every time', async t => {
  t.deepEqual(await run(turns, tiers(6, 4, 8)), await run(turns, tiers(6, 4, 8)))
})

test('conversations that share nothing hit nothing, however many there are', async t => {
  const strangers = traceOf(Array.from({ length: 400 }, (_, i) => request(i * 1000, [2 * i, 2 * i + 1], 40, 20)))
  t.is((await run(strangers, tiers(64, 256, 1024))).hit_tokens, 0)
})

test('equal block ids make equal tokens, and what begins alike shares exactly that', t => {
  const beginnings = new Map([[7, { block: 3, tokens: 40 }]])
  const tokens = new TraceTokens({ blockTokens: 64, beginnings }, SIMULATED_TOKENS)
  const of = (block: number) => tokens.of(request(0, [1, block], 128, 0), block, 128)
  t.deepEqual(of(3), of(3))
  t.deepEqual(of(3).slice(0, 64), of(5).slice(0, 64))
  t.notDeepEqual(of(3).slice(64), of(5).slice(64))
  t.deepEqual(of(7).slice(0, 104), of(3).slice(0, 104))
  t.notDeepEqual(of(7).slice(104), of(3).slice(104))
})

test('what no id covers is the request\'s own', t => {
  const tokens = new TraceTokens(turns, SIMULATED_TOKENS)
  const prompt = request(0, [1], 64, 30)
  t.deepEqual(tokens.of(prompt, 0, 94).slice(0, 64), tokens.of(prompt, 1, 94).slice(0, 64))
  t.notDeepEqual(tokens.of(prompt, 0, 94).slice(64), tokens.of(prompt, 1, 94).slice(64))
})

test('every profile is found by its name, and its tiers hold a context', t => {
  for (const name of profileNames) {
    const profile = profileNamed(name)
    t.true(profile && profile.name.startsWith(name))
    t.true((profile?.tierBytes.hbm ?? 0) > 1000 * (profile?.kvBytesPerToken ?? 0), name)
  }
  t.is(profileNamed('paper-4xa100')?.name, 'paper-4xa100/llama-13b')
})

const SLOTS = { hbm: 36, dram: 40, ssd: 70 }
/** As fast as no profile is: the log alone tells the simulator. */
const SERVING = { ...cpu2, stepBaseMs: 14, stepPerRowMs: 1.2, writeRate: 0.3e6 }

/** Conversations of a service with little room, several at once, and the log that it wrote. */
async function loggedTraffic(seed: number): Promise<{ log: RequestLogRecord[]; prompt: number; reused: number }> {
  const random = new Random(seed)
  const log: RequestLogRecord[] = []
  let [prompt, reused] = [0, 0]
  const { service, clock, close } = simulatedService({ slots: SLOTS, profile: SERVING }, { policy: 'lru', onRequestLogged: record => log.push(record) })
  const talk = async (name: number): Promise<void> => {
    const messages = [{ role: 'system', content: `You are number ${name % 3}. ${'Be brief. '.repeat(12)}` }]
    for (let turn = 0; turn < 6; turn++) {
      await new Promise<void>(resolve => void clock.after(random.next() * 20_000, resolve))
      messages.push({ role: 'user', content: `${turn} ${'word '.repeat(5 + random.below(40))}` })
      const answer = await readTurn(await service.start(chat(messages, { ignoreEos: true, maxTokens: 20 + random.below(60) })))
      if (!answer) throw new Error('no answer')
      messages.push({ role: 'assistant', content: answer.text })
      prompt += answer.usage.promptTokens
      reused += reusedTokens(answer.usage)
    }
  }
  await Promise.all(Array.from({ length: 12 }, (_, name) => talk(name)))
  await close()
  return { log, prompt, reused }
}

test('the simulator, given a service\'s request log alone, finds its token hit rate within a point', async t => {
  const [served, simulated] = [{ prompt: 0, reused: 0 }, { prompt: 0, reused: 0 }]
  // In one run chance decides who goes first and what is evicted for it, and so a point or two of the hit rate.
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const traffic = await loggedTraffic(seed)
    served.prompt += traffic.prompt
    served.reused += traffic.reused
    const path = join(folder, `requests-${seed}.jsonl`)
    writeFileSync(path, traffic.log.map(record => JSON.stringify(record)).join('\n'))
    const trace = await readTrace(path)
    const { machine } = trace
    if (!machine) return t.fail('the log says nothing of the machine')
    t.deepEqual(machine.tierBytes, tiers(SLOTS.hbm, SLOTS.dram, SLOTS.ssd))
    await replayTiers(trace, { policy: 'lru', profile: machine, tierBytes: machine.tierBytes, noReuse: false }, (_, usage) => {
      simulated.prompt += usage.promptTokens
      simulated.reused += reusedTokens(usage)
    })
  }
  const [hitRate, found] = [served.reused / served.prompt, simulated.reused / simulated.prompt]
  t.log(`server ${(100 * hitRate).toFixed(2)} %, simulator ${(100 * found).toFixed(2)} %`)
  t.true(hitRate > 0.2 && hitRate < 0.95)
  t.true(Math.abs(found - hitRate) < 0.01)
})

// The command

const trace = join(folder, 'mooncake.jsonl')
const line = (timestamp: number, hash_ids: readonly number[]) =>
  JSON.stringify({ timestamp, input_length: hash_ids.length * 512, output_length: 8, hash_ids })
writeFileSync(trace, [line(0, [1, 2]), line(20_000, [3]), line(40_000, [1, 2, 4])].join('\n'))

async function simulate(...args: readonly string[]): Promise<{ code: number; terminal: FakeTerminal }> {
  const terminal = new FakeTerminal()
  return { code: await terminal.run('simulate', '--trace', trace, ...args), terminal }
}

test('without --capacity all tiers are simulated, a policy each, as JSON and as one page', async t => {
  const [json, report] = [join(folder, 'tiers.json'), join(folder, 'tiers.html')]
  const { code, terminal } = await simulate('--policy', 'lru,adaptive', '--dram-bytes', '1GiB', '--json', json, '--report', report)
  t.is(code, 0, terminal.stderr)
  const results = JSON.parse(readFileSync(json, 'utf8')) as TieredResult[]
  t.deepEqual(results.map(({ policy }) => policy), ['lru', 'adaptive'])
  t.like(results[0], { profile: 'cpu-2', capacity_unit: 'bytes', requests: 3, token_hit_rate: 1024 / 3072 })
  t.is(results[0]?.tier_bytes.dram, 2 ** 30)
  t.regex(terminal.stdout, /adaptive +33\.3 %/)
  t.regex(terminal.stderr, /simulating: 100 %/)
  const page = readFileSync(report, 'utf8')
  t.regex(page, /<svg[\s\S]*<svg/)
  t.notRegex(page, /https?:|<script|<link|NaN|undefined/)
})

test('what belongs to the other mode, an unknown profile and too small an hbm are refused', async t => {
  const refused: ReadonlyArray<readonly string[]> = [
    ['--policy', 'belady'],
    ['--look-ahead', '4'],
    ['--capacity', '5%', '--hbm-bytes', '1GiB'],
    ['--capacity', '5%', '--warm-up', '1'],
    ['--profile', 'abacus'],
    ['--hbm-bytes', '1MiB'],
    ['--limit', '0'],
  ]
  for (const args of refused) t.is((await simulate(...args)).code, 2, args.join(' '))
})

test('only the first requests of a trace are replayed if told so', async t => {
  const json = join(folder, 'limited.json')
  t.is((await simulate('--limit', '2', '--json', json)).code, 0)
  const [result] = JSON.parse(readFileSync(json, 'utf8')) as TieredResult[]
  t.like(result, { requests: 2, unique_blocks: 3, token_hit_rate: 0 })
})
