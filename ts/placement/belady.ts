// Belady's bound (1966): what is used again last goes first. It knows the whole future, so no server can run it. With
// bypass (what was just served competes too) it is the most that one tier can reach; forced insertion is no bound.

import { orderedPolicy } from './ordered.js'
import type { Resident } from './types.js'

/** A block whose next use is known. */
export interface Foreseen extends Resident {
  /** Arrival number of the next request that asks for it; Infinity: none ever does. */
  readonly nextUse: number
}

function goesBefore(a: Foreseen, b: Foreseen): boolean {
  if (a.nextUse !== b.nextUse) return a.nextUse > b.nextUse
  return a.index > b.index
}

export const belady = orderedPolicy<Foreseen>('belady', goesBefore)
