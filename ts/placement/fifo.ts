// First in, first out: the baseline that looks at nothing but the order in which blocks came. Blocks of one turn come
// head first, so heads go before their tails, which are then of no use: that is what is wrong with it.

import { orderedPolicy } from './ordered.js'
import type { Resident } from './types.js'

export const fifo = orderedPolicy<Resident>('fifo', (a, b) => a.born < b.born, { leavesFirst: false })
