// Prompts for a trace: equal block ids give equal tokens, on every run and every machine.

import { createHash } from 'node:crypto'
import type { Trace, TraceRequest } from '../../simulator/traces/trace.js'

/** Ids that are ordinary tokens in the vocabulary of any common model. */
const FIRST_TOKEN = 1000
const TOKENS = 20_000

/** A trace scaled to `blockTokens` tokens a block id. */
export interface Scale {
  readonly blockTokens: number
  /** Tokens of the replay a token of the trace. */
  readonly factor: number
  /** Blocks that begin with the tokens of another one. */
  readonly beginnings: Trace['beginnings']
}

export function scaleOf(trace: Trace, blockTokens: number | null): Scale {
  const scaled = blockTokens ?? trace.blockTokens
  return { blockTokens: scaled, factor: scaled / trace.blockTokens, beginnings: trace.beginnings }
}

export function scaledLength(tokens: number, { factor }: Scale): number {
  return Math.max(1, Math.round(tokens * factor))
}

/** The tokens of a request's prompt. `index`: its place in the trace, for what no block id covers. */
export function promptTokens(request: TraceRequest, index: number, scale: Scale): number[] {
  const length = scaledLength(request.inputTokens, scale)
  const ids = Array.from(request.blocks.subarray(0, request.promptBlocks))
  const covered = ids.flatMap((id) => blockTokens(id, scale)).slice(0, length)
  return [...covered, ...seededTokens(`request ${index}`, length - covered.length)]
}

function blockTokens(id: number, scale: Scale): number[] {
  const own = seededTokens(String(id), scale.blockTokens)
  const beginning = scale.beginnings.get(id)
  if (!beginning) return own
  const same = Math.floor(beginning.tokens * scale.factor)
  return [...blockTokens(beginning.block, scale).slice(0, same), ...own.slice(same)]
}

function seededTokens(seed: string, count: number): number[] {
  let state = createHash('sha256').update(seed).digest().readUInt32LE()
  return Array.from({ length: count }, () => {
    state = nextRandom(state)
    return FIRST_TOKEN + (state % TOKENS)
  })
}

/** A linear congruential step on 32 bits with its high bits folded in: enough to make tokens differ. */
function nextRandom(state: number): number {
  const next = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return (next ^ (next >>> 16)) >>> 0
}
