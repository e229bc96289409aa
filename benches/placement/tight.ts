// In which tier the paper's three hit rates come out together: the same sessions through one tier of some percent of their
// blocks, with a queue that shows the policy many requests.

import type { SimulatedPolicy } from '../../ts/simulator/capacity/policies.js'
import { replayCapacity } from '../../ts/simulator/capacity/replay.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import type { Trace } from '../../ts/simulator/traces/trace.js'
import type { Table } from '../support/bench.js'

const SHARES = [6, 7, 8] as const
/** Policy and the requests of the queue that it sees. */
const SETTINGS: ReadonlyArray<readonly [SimulatedPolicy, number]> = [
  ['fifo', 0],
  ['lru', 0],
  ['adaptive', 0],
  ['scheduler-aware', 64],
  ['scheduler-aware', 1000],
  ['scheduler-aware', 4000],
  ['belady', 0],
]

function tokensHit(trace: Trace, policy: SimulatedPolicy, lookAhead: number, share: number, warmUp: number): string {
  const capacityBlocks = Math.round((trace.uniqueBlocks * share) / 100)
  let hits = 0
  let prompt = 0
  replayCapacity(trace, { policy, lookAhead, capacityBlocks }, (served, { inputTokens }, hitTokens) => {
    if (served <= warmUp) return
    hits += hitTokens
    prompt += inputTokens
  })
  return ((100 * hits) / prompt).toFixed(1)
}

export async function tightTable(path: string, warmUp: number): Promise<Table> {
  const trace = await readTrace(path)
  const rows = SETTINGS.map(([policy, lookAhead]) => [
    lookAhead === 0 ? policy : `${policy}, sees ${lookAhead}`,
    ...SHARES.map(share => tokensHit(trace, policy, lookAhead, share, warmUp)),
  ])
  return { title: 'Prompt tokens hit in one tier, %, by its share of the unique blocks', columns: ['policy', ...SHARES.map(share => `${share} %`)], rows }
}
