// The interface of a trace format: how a record is known, and the requests that it stands for.

import type { HardwareProfile } from '../../engine/simulated/profiles/profile.js'
import type { BlockIds } from './ids.js'
import type { Beginning, TraceRequest } from './trace.js'

/** The state that readers of one file share. */
export interface ReadContext {
  readonly ids: BlockIds
  /** Of the file's own name space: ids that all records share. */
  readonly shared: (id: string | number) => number
  readonly beginnings: Map<number, Beginning>
  /** Told of the machine that served the trace, where a record says it; the last one counts. */
  readonly onMachine: (machine: HardwareProfile) => void
  /** 0 ≤ x < 1, the same numbers on every run. */
  readonly random: () => number
}

export interface TraceFormat {
  readonly name: string
  readonly blockTokens: number
  /**
   * A reader of the records in the order of the file. It returns the requests of a record (times in milliseconds on the
   * file's clock), or null if it is not one of this format.
   */
  open(context: ReadContext): (value: unknown) => readonly TraceRequest[] | null
}

/** Blocks of a prompt alone, as traces have them whose answers carry no ids. */
export function promptOnly(
  atMs: number,
  inputTokens: number,
  outputTokens: number,
  blocks: Int32Array,
  blockTokens: number,
): TraceRequest {
  const hasPartialTail = blocks.length * blockTokens > inputTokens
  return { atMs, inputTokens, outputTokens, reusableTokens: inputTokens, blocks, promptBlocks: blocks.length, hasPartialTail }
}
