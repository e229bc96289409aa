// Why the paper's lru and fifo lose what ours keep: how long its people pause is not said. The same sessions, twice as many
// (10,706; the paper has 9,000), through one tier of all its bytes, with pauses that are longer by a factor, and a queue that
// shows the policy many requests. A server that cannot keep up does both: turns come late, and many wait.

import type { PolicyName } from '../../ts/placement/types.js'
import { replayCapacity } from '../../ts/simulator/capacity/replay.js'
import { readTrace } from '../../ts/simulator/traces/read.js'
import type { Trace, TraceRequest } from '../../ts/simulator/traces/trace.js'
import type { Table } from '../support/bench.js'

const PAUSES = [1, 4, 16, 64] as const
/** Policy and the requests of the queue that it sees. */
const SETTINGS: ReadonlyArray<readonly [PolicyName, number]> = [['fifo', 0], ['lru', 0], ['scheduler-aware', 1000], ['scheduler-aware', 10_000], ['adaptive', 0]]

/** Two readings of a file of sessions, one after the other. */
async function twice(path: string): Promise<Trace> {
  const first = await readTrace(path)
  const second = await readTrace(path, { seed: 2 })
  const lastStart = Math.max(...startsOf(first.requests).values())
  const moved = second.requests.map(request => ({
    ...request,
    atMs: request.atMs + lastStart,
    blocks: request.blocks.map(id => id + first.uniqueBlocks),
  }))
  return { ...first, uniqueBlocks: first.uniqueBlocks + second.uniqueBlocks, requests: [...first.requests, ...moved] }
}

/** Sessions share nothing: their first block names them. */
const sessionOf = ({ blocks }: TraceRequest): number => blocks[0] ?? -1

function startsOf(requests: readonly TraceRequest[]): Map<number, number> {
  const starts = new Map<number, number>()
  for (const request of requests) {
    const session = sessionOf(request)
    starts.set(session, Math.min(starts.get(session) ?? Infinity, request.atMs))
  }
  return starts
}

function paused(trace: Trace, factor: number): Trace {
  const starts = startsOf(trace.requests)
  const later = trace.requests.map(request => {
    const start = starts.get(sessionOf(request)) ?? 0
    return { ...request, atMs: start + (request.atMs - start) * factor }
  })
  return { ...trace, requests: later.sort((a, b) => a.atMs - b.atMs) }
}

/** Percent of the returning turns after the warm-up that find their whole history. */
function returnsFound(trace: Trace, policy: PolicyName, lookAhead: number, capacityBlocks: number, warmUp: number): string {
  let found = 0
  let returns = 0
  replayCapacity(trace, { policy, lookAhead, capacityBlocks }, (served, { reusableTokens }, hitTokens) => {
    if (served <= warmUp || reusableTokens === 0 || reusableTokens === undefined) return
    returns++
    if (hitTokens >= reusableTokens) found++
  })
  return ((100 * found) / returns).toFixed(0)
}

export async function pauseTable(path: string, bytes: number, bytesPerToken: number, warmUp: number): Promise<Table> {
  const trace = await twice(path)
  const capacity = Math.floor(bytes / (bytesPerToken * trace.blockTokens))
  const share = ((100 * capacity) / trace.uniqueBlocks).toFixed(0)
  const traces = PAUSES.map(factor => paused(trace, factor))
  const rows = SETTINGS.map(([policy, lookAhead]) => [
    lookAhead === 0 ? policy : `${policy}, sees ${lookAhead}`,
    ...traces.map(one => returnsFound(one, policy, lookAhead, capacity, warmUp)),
  ])
  return { title: `Returning turns that find their whole history, %, by pauses; the tiers hold ${share} % of what there is`, columns: ['policy', ...PAUSES.map(factor => `× ${factor}`)], rows }
}
