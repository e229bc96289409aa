// Prompts for a trace: equal block ids give equal tokens, on every run and every machine.

import { createHash } from 'node:crypto'
import type { Trace, TraceRequest } from './trace.js'

/** Ids that are ordinary tokens in the vocabulary of any common model. */
const FIRST_TOKEN = 1000
const TOKENS = 20_000

/** A trace scaled to `blockTokens` tokens a block id. */
export interface Scale {
  readonly blockTokens: number
  /** Tokens of the replay a token of the trace. */
  readonly factor: number
}

export function scaleOf(trace: Trace, blockTokens: number | null): Scale {
  const scaled = blockTokens ?? trace.blockTokens
  return { blockTokens: scaled, factor: scaled / trace.blockTokens }
}

export function scaledLength(tokens: number, { factor }: Scale): number {
  return Math.max(1, Math.round(tokens * factor))
}

/** The tokens of a request's prompt. `index`: its place in the trace, for what no block id covers. */
export function promptTokens(request: TraceRequest, index: number, scale: Scale): number[] {
  const length = scaledLength(request.inputTokens, scale)
  const covered = request.blocks.flatMap((id) => blockTokens(id, scale.blockTokens)).slice(0, length)
  return [...covered, ...blockTokens(`request ${index}`, length - covered.length)]
}

function blockTokens(id: string, count: number): number[] {
  let state = createHash('sha256').update(id).digest().readUInt32LE()
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
