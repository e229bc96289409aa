// A policy that is an order: the first of all residents go.

import { selectFirst } from './select.js'
import type { PlacementPolicy, Resident } from './types.js'

export function orderedPolicy<R extends Resident>(name: string, goesBefore: (a: R, b: R) => boolean): PlacementPolicy<R> {
  return { name, goesBefore, victims: (residents, count) => selectFirst(residents, count, goesBefore) }
}
