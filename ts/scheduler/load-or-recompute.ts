// Whether history that lies on ssd is read, computed again, or both: computed from the front while the back is read,
// until they meet (Cake, arXiv 2410.03065). Pure functions of measured times.

export type HistoryChoice = 'load' | 'recompute' | 'split'

export interface HistoryQuestion {
  /** Blocks that would have to be read. */
  readonly blocks: number
  /** Milliseconds to read a block, at the measured rate. */
  readonly readMs: number
  /** Milliseconds until the first of these reads could begin: the disk's queue. */
  readonly queueMs: number
  /** Milliseconds to compute a block, at the measured speed of prefill. */
  readonly computeMs: number
  /** Requests that wait while this one computes. */
  readonly others: number
}

export interface HistoryPlan {
  readonly choice: HistoryChoice
  /** Blocks that are computed, from the front. */
  readonly front: number
  /** Predicted milliseconds until all blocks are there. */
  readonly ms: number
}

/** A plan must save this share of the time of loading, or loading it is: predictions are not that good. */
const LEAST_GAIN = 0.05

/**
 * The plan that has the blocks there first. What it gains over loading must also outweigh what its computing costs the
 * others: reading holds nobody up.
 */
export function chooseHistory(question: HistoryQuestion): HistoryPlan {
  const { blocks, readMs, queueMs, computeMs, others } = question
  const load: HistoryPlan = { choice: 'load', front: 0, ms: queueMs + blocks * readMs }
  const meeting = Math.min(blocks, Math.max(0, (queueMs + blocks * readMs) / (computeMs + readMs)))
  const planAt = (front: number): HistoryPlan => ({
    choice: front === 0 ? 'load' : front === blocks ? 'recompute' : 'split',
    front,
    ms: Math.max(front * computeMs, front === blocks ? 0 : queueMs + (blocks - front) * readMs),
  })
  const plans = [planAt(Math.floor(meeting)), planAt(Math.ceil(meeting)), planAt(blocks)]
  const best = plans.reduce((a, b) => (b.ms < a.ms ? b : a))
  const gain = load.ms - best.ms
  return gain > LEAST_GAIN * load.ms && gain > best.front * computeMs * others ? best : load
}

export interface FrontQuestion {
  /** Blocks that are neither computed nor there. */
  readonly left: number
  /** Milliseconds to read and to compute a block; 0: not known yet. */
  readonly readMs: number
  readonly computeMs: number
  /** Milliseconds of computing that are under way already. */
  readonly busyMs: number
}

/** What is left must take so many milliseconds to read before a first block is computed to see how long that takes. */
const PROBE_MS = 1000

/** How many more blocks the front computes before it meets the back; 0: what is left comes sooner than it is computed. */
export function frontBlocks({ left, readMs, computeMs, busyMs }: FrontQuestion): number {
  if (readMs === 0) return 0
  if (computeMs === 0) return left * readMs >= PROBE_MS ? 1 : 0
  const meeting = Math.max(0, Math.min(left, Math.floor((left * readMs - busyMs) / (computeMs + readMs))))
  const isNextSooner = meeting < left && busyMs + (meeting + 1) * computeMs < (left - meeting) * readMs
  return isNextSooner ? meeting + 1 : meeting
}
