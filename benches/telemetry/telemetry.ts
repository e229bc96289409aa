// The cost of the what-if curves a request. Processor time, so that other work on the machine does not count.

import { createHash } from 'node:crypto'
import { HitRateCurve } from '../../ts/scheduler/accounts/what-if/curve.js'
import type { Asked } from '../../ts/scheduler/accounts/what-if/turn.js'
import type { PolicyName } from '../../ts/placement/types.js'
import { perTier } from '../../ts/protocol/tiers.js'
import { seededRandom } from '../../ts/simulator/random.js'
import type { Bench, BenchContext, Report } from '../support/bench.js'
import { median, show } from '../support/figures.js'

const BLOCKS_A_REQUEST = 100
const CONVERSATIONS = 4000
const ROUNDS = 5
const BOUND_US = 200
const POLICIES: readonly PolicyName[] = ['lru', 'adaptive']
/** Blocks that each tier holds. */
const CAPACITIES = [2000, 8000, 40_000] as const
const NOTHING_REUSED = perTier(() => 0)

interface Served {
  readonly asked: readonly Asked[]
  readonly chain: readonly string[]
}

/** Conversations of 100 blocks that come back at random; a new block a turn takes the place of the last one. */
function traffic(requests: number): Served[] {
  const random = seededRandom(1)
  const key = (name: string): string => createHash('sha256').update(name).digest().toString('latin1')
  const chains = Array.from({ length: CONVERSATIONS }, (_, c) => Array.from({ length: BLOCKS_A_REQUEST }, (_, b) => key(`${c} ${b}`)))
  return Array.from({ length: requests }, (_, i) => {
    const chain = chains[Math.floor(CONVERSATIONS * random() ** 2)] ?? []
    const asked = chain.slice(0, -1).map((known) => ({ key: known, tokens: 64, isTail: false }))
    return { asked, chain: [...chain.slice(0, -1), key(`${i}`)] }
  })
}

/** Microseconds of processor time a request. */
function cost(served: readonly Served[], policy: PolicyName): number {
  const curve = new HitRateCurve({ policy, capacities: CAPACITIES })
  const before = process.cpuUsage()
  served.forEach(({ asked, chain }, i) => {
    curve.queued(i, chain)
    curve.left(i)
    curve.served({ promptTokens: 64 * BLOCKS_A_REQUEST, asked, chain, hasTail: false, atMs: i * 100, retention: 'none' }, NOTHING_REUSED)
  })
  const { user, system } = process.cpuUsage(before)
  return (user + system) / served.length
}

async function run({ quick, progress }: BenchContext): Promise<Report> {
  const served = traffic(quick ? 5000 : 20_000)
  progress(`${served.length} requests of ${BLOCKS_A_REQUEST} blocks, ${ROUNDS} times, for each policy`)
  const costs = POLICIES.map((policy) => ({ policy, us: median(Array.from({ length: ROUNDS }, () => cost(served, policy))) }))
  const rows = costs.map(({ policy, us }) => [policy, `${BLOCKS_A_REQUEST}`, show(us), show(us / BLOCKS_A_REQUEST)])
  const most = Math.max(...costs.map(({ us }) => us))
  return {
    tables: [{ title: 'What-if curve, µs of processor time', columns: ['policy', 'blocks a request', 'a request', 'a block'], rows }],
    plots: [],
    notes: [`≤ ${BOUND_US} µs a request: ${most <= BOUND_US ? 'met' : 'not met'}`],
    data: { requests: served.length, blocks_a_request: BLOCKS_A_REQUEST, us_a_request: Object.fromEntries(costs.map(({ policy, us }) => [policy, us])) },
  }
}

export const telemetry: Bench = { name: 'telemetry', about: 'what the what-if curve costs a request', run }
