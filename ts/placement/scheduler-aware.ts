// Scheduler-aware eviction (arXiv 2403.19708, section 3.3.2): first what no queued request wants, the least recently used
// of it before the rest; then, of what is wanted, what the last in the queue wants.

import { usedBefore } from './lru.js'
import { orderedPolicy } from './ordered.js'
import type { Resident } from './types.js'

function goesBefore(a: Resident, b: Resident): boolean {
  if (a.firstWanted !== b.firstWanted) return a.firstWanted > b.firstWanted
  return usedBefore(a, b)
}

export const schedulerAware = orderedPolicy<Resident>('scheduler-aware', goesBefore)
