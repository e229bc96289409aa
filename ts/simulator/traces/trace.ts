// A trace in memory: when requests came, how long they were, which blocks they shared. No text.

import type { HardwareProfile } from '../../engine/simulated/profiles/profile.js'

export interface TraceRequest {
  /** Milliseconds since the trace's first request; may have a fraction. */
  readonly atMs: number
  readonly inputTokens: number
  /** The prompt's first ones, which are its system prompt. Only request logs say it. @default 0 */
  readonly systemTokens?: number
  readonly outputTokens: number
  /** Most prompt tokens that hits can save: a block that is there may be partly filled. */
  readonly reusableTokens: number
  /** Dense block ids of the chain, head first: the prompt's, then those that the answer adds. Equal id: equal prefix. */
  readonly blocks: Int32Array
  /** Leading entries of `blocks` that the prompt asks for. */
  readonly promptBlocks: number
  /** The prompt's last block is not full. */
  readonly hasPartialTail: boolean
}

/** A block that begins with the tokens of another one: a tail that was filled on, or texts that part inside a block. */
export interface Beginning {
  readonly block: number
  readonly tokens: number
}

export interface Trace {
  readonly format: string
  /** Tokens that one block id stands for. */
  readonly blockTokens: number
  /** Block ids are 0 … uniqueBlocks − 1. */
  readonly uniqueBlocks: number
  /** By block id, of those blocks of which it is known. Only request logs say it. */
  readonly beginnings: ReadonlyMap<number, Beginning>
  /** The machine that served it; null: the trace does not say. Only request logs do. */
  readonly machine: HardwareProfile | null
  /** In order of arrival. */
  readonly requests: readonly TraceRequest[]
}
