// The ways to go on beyond the window that are compared.

import type { Scorer, Scores, Truncation } from '../engine/native/scorer.js'
import type { ViewParameters } from '../engine/types.js'
import { viewParameters } from '../engine/view.js'

export interface Method {
  readonly name: string
  readonly truncation: Truncation
  readonly keepsHead: boolean
}

export const REFERENCE: Method = { name: 'tokens truncated, all computed again', truncation: 'recompute', keepsHead: true }
export const OURS: Method = { name: 'KV truncated, positions decoupled', truncation: 'decoupled', keepsHead: true }
const HEADLESS: Method = { name: 'as above, without a kept head', truncation: 'decoupled', keepsHead: false }
const COUPLED: Method = { name: 'KV truncated, positions coupled', truncation: 'coupled', keepsHead: true }

export const COMPARED: readonly Method[] = [REFERENCE, OURS]
export const METHODS: readonly Method[] = [...COMPARED, HEADLESS, COUPLED]

/** The server's default share of the window that leaves it at a time. */
export const RATIO = 0.5

/** Without a head, the step is the same: only what is in front of the view differs. */
function viewFor(window: number, systemTokens: number, keepsHead: boolean): ViewParameters {
  const view = viewParameters(window, RATIO, systemTokens)
  return keepsHead ? view : { ...view, head: 0 }
}

export interface ScoredText {
  readonly tokens: Uint32Array
  readonly systemTokens: number
}

/** Scores of `text.tokens[1…]`. */
export function scoreWith({ truncation, keepsHead }: Method, scorer: Scorer, { tokens, systemTokens }: ScoredText, window: number): Promise<Scores> {
  return scorer.score(tokens, viewFor(window, systemTokens, keepsHead), truncation)
}
