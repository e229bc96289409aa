// Tokens for a trace: equal block ids give equal tokens, on every run and machine, and different ones almost never begin alike.

import type { Trace, TraceRequest } from '../traces/trace.js'

export interface TokenRange {
  readonly first: number
  readonly count: number
}

/**
 * Past the simulated vocabulary, and a great number: if there were a hundred, some conversation among hundreds would begin as
 * any new one does, and its first token be a hit that no server has.
 */
export const SIMULATED_TOKENS: TokenRange = { first: 1024, count: 2 ** 22 }

/** Past all block ids: what no id covers is a request's own. */
const OWN = 0x40000000

function hashed(id: number, offset: number): number {
  let h = Math.imul(id ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(offset + 1, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39)
  return (h ^ (h >>> 15)) >>> 0
}

export class TraceTokens {
  readonly #trace: Pick<Trace, 'blockTokens' | 'beginnings'>
  readonly #range: TokenRange

  constructor(trace: Pick<Trace, 'blockTokens' | 'beginnings'>, range: TokenRange) {
    this.#trace = trace
    this.#range = range
  }

  /** The first `length` tokens of request number `index`, prompt and then answer. */
  of(request: TraceRequest, index: number, length: number): Uint32Array {
    const { blockTokens } = this.#trace
    const tokens = new Uint32Array(length)
    const covered = Math.min(length, coveredTokens(request, blockTokens))
    for (let at = 0; at < length; at++) {
      const place = Math.floor(at / blockTokens)
      tokens[at] = at < covered ? this.#ofBlock(request.blocks[place] as number, at % blockTokens) : this.#pick(OWN + index, at)
    }
    return tokens
  }

  #ofBlock(id: number, offset: number): number {
    let block = id
    for (let like = this.#trace.beginnings.get(block); like && offset < like.tokens; like = this.#trace.beginnings.get(block)) block = like.block
    return this.#pick(block, offset)
  }

  #pick(id: number, offset: number): number {
    return this.#range.first + (hashed(id, offset) % this.#range.count)
  }
}

/** Ids cover the prompt, or prompt and answer; a prompt's last block may be partly filled. */
function coveredTokens({ blocks, promptBlocks, inputTokens, outputTokens }: TraceRequest, blockTokens: number): number {
  const total = inputTokens + outputTokens
  const hasAnswer = blocks.length > promptBlocks || Math.ceil(total / blockTokens) === promptBlocks
  return Math.min(hasAnswer ? total : inputTokens, blocks.length * blockTokens)
}
