// The capacity mode: a trace through one tier, from an empty cache, without a warm-up.

import type { Trace, TraceRequest } from '../traces/trace.js'
import { OneTierCache } from './cache.js'
import { Future } from './future.js'
import { simulatedPolicy, type SimulatedPolicy } from './policies.js'

export interface CapacitySetting {
  readonly policy: SimulatedPolicy
  /** Blocks that the tier holds. */
  readonly capacityBlocks: number
  /** Requests after the one being served that the policy is shown. */
  readonly lookAhead: number
}

export interface CapacityCounts {
  readonly requests: number
  readonly promptBlocks: number
  /** Blocks in the contiguous present prefix of their prompt. */
  readonly hitBlocks: number
  /** Blocks that were there, prefix or not. */
  readonly presentBlocks: number
  readonly promptTokens: number
  readonly hitTokens: number
}

/** Told after every request how many have been served, and how many prompt tokens of this one were hits. */
export type RequestListener = (served: number, request: TraceRequest, hitTokens: number) => void

export function replayCapacity(trace: Trace, setting: CapacitySetting, onRequest: RequestListener = () => {}): CapacityCounts {
  const cache = new OneTierCache(setting.capacityBlocks, simulatedPolicy(setting.policy))
  const { requests } = trace
  const future = setting.policy === 'belady' || setting.lookAhead > 0 ? new Future(requests, trace.uniqueBlocks) : null
  const sum = { promptBlocks: 0, hitBlocks: 0, presentBlocks: 0, promptTokens: 0, hitTokens: 0 }
  requests.forEach((request, i) => {
    if (future && setting.lookAhead > 0) show(cache, requests[i + setting.lookAhead], i + setting.lookAhead)
    const foresee = future ? foresight(future, i, i + setting.lookAhead) : undefined
    const { hits, present } = cache.serve(request, trace.blockTokens, foresee)
    sum.promptBlocks += request.promptBlocks
    sum.hitBlocks += hits
    sum.presentBlocks += present
    sum.promptTokens += request.inputTokens
    const hitTokens = Math.min(request.reusableTokens, hits * trace.blockTokens)
    sum.hitTokens += hitTokens
    onRequest(i + 1, request, hitTokens)
  })
  cache.checkIntegrity()
  return { requests: requests.length, ...sum }
}

/** The request at the end of the look-ahead comes into view. */
function show(cache: OneTierCache, request: TraceRequest | undefined, arrival: number): void {
  if (!request) return
  for (let place = 0; place < request.promptBlocks; place++) cache.want(request.blocks[place] as number, arrival)
}

function foresight(future: Future, request: number, horizon: number) {
  return (block: { nextUse: number; firstWanted: number }, place: number): void => {
    block.nextUse = future.after(request, place)
    if (block.nextUse <= horizon) block.firstWanted = block.nextUse
  }
}
