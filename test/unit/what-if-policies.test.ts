// The what-if curve of the policy that runs: the rate that it predicts for half and for double the capacity, from one run of the
// scheduler on the simulated engine, against runs that really have these capacities.

import test, { type ExecutionContext } from 'ava'
import { profileNamed } from '../../ts/engine/simulated/profiles/registry.js'
import { blockSizes } from '../../ts/engine/simulated/slots.js'
import type { PolicyName } from '../../ts/placement/types.js'
import type { TierCurve } from '../../ts/protocol/what-if.js'
import { sumTiers } from '../../ts/protocol/tiers.js'
import { replayTiers } from '../../ts/simulator/tiered/replay.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import { shortened } from '../../ts/simulator/traces/shortened.js'
import type { Trace } from '../../ts/simulator/traces/trace.js'
import { traceFile } from '../support/corpus.js'

/** The interval covers 95 %, and tells nothing of a model's own faults: so far beyond it an estimate may lie. */
const BEYOND = 0.01

/** Conversations without their answers, which take the simulated engine long and the cache no differently. */
function promptsOf(trace: Trace): Trace {
  const requests = trace.requests.map(request => ({
    ...request,
    outputTokens: 1,
    blocks: request.blocks.slice(0, request.promptBlocks),
    hasPartialTail: request.inputTokens % trace.blockTokens > 0,
  }))
  return { ...trace, requests }
}

interface Run {
  /** Measured. */
  readonly hitRate: number
  readonly dram: TierCurve
}

async function run(trace: Trace, policy: PolicyName, hbmBlocks: number, dramBlocks: number): Promise<Run> {
  const profile = profileNamed('h100-pcie5/mistral-7b')
  if (!profile) throw new Error('no such profile')
  const { blockBytes, hostSlotBytes } = blockSizes(profile)
  const tierBytes = { hbm: hbmBlocks * blockBytes, dram: dramBlocks * hostSlotBytes, ssd: 0 }
  let prompt = 0
  let reused = 0
  const { whatIf } = await replayTiers(trace, { policy, profile, tierBytes, noReuse: false }, (_, usage) => {
    prompt += usage.promptTokens
    reused += sumTiers(usage.reusedTokens)
  })
  const dram = whatIf.tiers.find(({ name }) => name === 'dram')
  if (!dram) throw new Error('no curve of dram')
  return { hitRate: reused / prompt, dram }
}

/** Straight between the points, as the page reads them. */
function at({ points }: TierCurve, bytes: number): { readonly hitRate: number; readonly error: number } {
  const index = points.findIndex(point => point.bytes >= bytes)
  const right = points[index]
  const left = points[index - 1]
  if (!right || !left) throw new Error(`the curve does not reach ${bytes} bytes`)
  const share = (bytes - left.bytes) / (right.bytes - left.bytes)
  return { hitRate: left.hitRate + share * (right.hitRate - left.hitRate), error: left.error + share * (right.error - left.error) }
}

const percent = (rate: number): string => (100 * rate).toFixed(2)

async function compare(t: ExecutionContext, trace: Trace, policy: PolicyName, hbmBlocks: number, dramBlocks: number): Promise<void> {
  const { dram, hitRate } = await run(trace, policy, hbmBlocks, dramBlocks)
  t.log(`${policy}: measured ${percent(hitRate)} %, curve ${percent(dram.current.hitRate)} ± ${percent(dram.current.error)} %, model alone ${percent(dram.modelledHitRate)} %`)
  t.true(Math.abs(dram.current.hitRate - hitRate) <= dram.current.error + 1e-9)
  // Without the anchor the model itself is near.
  t.true(Math.abs(dram.modelledHitRate - hitRate) < 0.04)
  for (const times of [0.5, 2]) {
    const predicted = at(dram, times * dram.capacityBytes)
    const real = (await run(trace, policy, hbmBlocks, times * dramBlocks)).hitRate
    t.log(`${times} × dram: predicted ${percent(predicted.hitRate)} ± ${percent(predicted.error)} %, real ${percent(real)} %`)
    t.true(Math.abs(real - hitRate) > 0.02, 'the capacity matters')
    t.true(Math.abs(predicted.hitRate - real) <= predicted.error + BEYOND)
    t.true(predicted.error < 0.05, 'a band that says something')
  }
}

const sessions = traceFile('sharegpt8k_sessions.jsonl.xz')
const onSessions = sessions === null ? test.serial.skip : test.serial
const HBM_BLOCKS = 256
const REQUESTS = 900
const DRAM_BLOCKS = 1000

for (const policy of ['lru', 'scheduler-aware', 'adaptive'] as const) {
  onSessions(`${policy} on conversations: the curve predicts half and double the capacity within its band`, async t => {
    t.timeout(900_000)
    const trace = promptsOf(shortened(await readTrace(sessions ?? ''), REQUESTS))
    await compare(t, trace, policy, HBM_BLOCKS, DRAM_BLOCKS)
  })
}
