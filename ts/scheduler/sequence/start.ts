// Where a sequence begins: with the whole history of its request, or with what the last token of it sees.

import type { BlockKey, ViewParameters } from '../../engine/types.js'
import { epochOf } from '../../engine/view.js'

export interface Start {
  /** Tokens between the head and the rest that are not part of the sequence; 0: the whole history. */
  readonly leftOut: number
  readonly tokens: Uint32Array
  /** Keys of its blocks in chain order; none where nothing is kept. */
  readonly keys: readonly BlockKey[]
}

export interface Prompt {
  readonly root: BlockKey
  readonly tokens: Uint32Array
  readonly view: ViewParameters | null
}

/** Most tokens that a request may compute before it begins anew: what its last prompt token sees. */
export function mostRolled({ tokens, view }: Prompt): number {
  return view === null ? Infinity : tokens.length - epochOf(view, tokens.length - 1) * view.step
}
