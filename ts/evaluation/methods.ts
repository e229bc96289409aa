// The ways to go on beyond the window that are compared.

import type { Truncation, Way } from '../engine/native/scorer.js'
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

/** A server's settings for truncation. */
export interface Setting {
  /** In tokens. */
  readonly window: number
  /** Share of the window that leaves it at a time. */
  readonly ratio: number
}

/** Of a method. Without a head, the step is the same: only what is in front of the view differs. */
export function wayOf({ truncation, keepsHead }: Method, { window, ratio }: Setting, systemTokens: number): Way {
  const view = viewParameters(window, ratio, systemTokens)
  return { view: keepsHead ? view : { ...view, head: 0 }, truncation }
}
