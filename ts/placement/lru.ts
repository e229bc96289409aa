// Least recently used, suffix first: of the blocks that one turn touched, the tail goes before the head, because a
// head without its tail still serves and a tail without its head never does. (Head first loses up to 4 points of hit
// rate.) What queued requests want goes last, and of that, what the last in the queue wants goes first.

import { selectFirst } from './select.js'
import type { PlacementPolicy, Resident } from './types.js'

function goesBefore(a: Resident, b: Resident): boolean {
  if (a.firstWanted !== b.firstWanted) return a.firstWanted > b.firstWanted
  if (a.lastUse !== b.lastUse) return a.lastUse < b.lastUse
  return a.index > b.index
}

export const lru: PlacementPolicy = {
  name: 'lru',
  victims: (residents, count) => selectFirst(residents, count, goesBefore),
}
