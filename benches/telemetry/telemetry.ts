// The cost of the what-if curves a request. Processor time, so that other work on the machine does not count.

import { createHash } from 'node:crypto'
import { HitRateCurve, type Asked } from '../../ts/scheduler/accounts/what-if/curve.js'
import { seededRandom } from '../../ts/simulator/random.js'
import type { Bench, BenchContext, Report } from '../support/bench.js'
import { median, show } from '../support/figures.js'

const BLOCKS_A_REQUEST = 100
const CONVERSATIONS = 4000
const ROUNDS = 5
const BOUND_US = 200

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
function cost(served: readonly Served[]): number {
  const curve = new HitRateCurve()
  const before = process.cpuUsage()
  for (const { asked, chain } of served) curve.served(64 * BLOCKS_A_REQUEST, asked, chain)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / served.length
}

async function run({ quick, progress }: BenchContext): Promise<Report> {
  const served = traffic(quick ? 5000 : 20_000)
  progress(`${served.length} requests of ${BLOCKS_A_REQUEST} blocks, ${ROUNDS} times`)
  const us = median(Array.from({ length: ROUNDS }, () => cost(served)))
  return {
    tables: [{ title: 'What-if curve, µs of processor time', columns: ['blocks a request', 'a request', 'a block'], rows: [[`${BLOCKS_A_REQUEST}`, show(us), show(us / BLOCKS_A_REQUEST)]] }],
    plots: [],
    notes: [`≤ ${BOUND_US} µs a request: ${us <= BOUND_US ? 'met' : 'not met'}`],
    data: { requests: served.length, blocks_a_request: BLOCKS_A_REQUEST, us_a_request: us },
  }
}

export const telemetry: Bench = { name: 'telemetry', about: 'what the what-if curve costs a request', run }
