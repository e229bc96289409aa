// A policy that is an order and learns nothing: the first of all residents go.

import { selectFirst } from './select.js'
import type { PlacementPolicy, Resident, TurnUse } from './types.js'

const UNHEARD: TurnUse = { used: () => {} }

interface OrderTraits {
  /** @default true */
  readonly leavesFirst?: boolean
}

export function orderedPolicy<R extends Resident>(
  name: string,
  goesBefore: (a: R, b: R) => boolean,
  { leavesFirst = true }: OrderTraits = {},
): PlacementPolicy<R> {
  return {
    name,
    leavesFirst,
    drifts: false,
    goesBefore,
    victims: (residents, count) => selectFirst(residents, count, goesBefore),
    begin: () => UNHEARD,
  }
}
