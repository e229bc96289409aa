// A trace in memory: when requests came, how long they were, which blocks they shared. No text.

export interface TraceRequest {
  /** Milliseconds since the trace's first request; may have a fraction. */
  readonly atMs: number
  readonly inputTokens: number
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

export interface Trace {
  readonly format: string
  /** Tokens that one block id stands for. */
  readonly blockTokens: number
  /** Block ids are 0 … uniqueBlocks − 1. */
  readonly uniqueBlocks: number
  /** In order of arrival. */
  readonly requests: readonly TraceRequest[]
}
