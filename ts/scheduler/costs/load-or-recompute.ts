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
  readonly company: Company
}

/** The requests that computing holds up; reading holds up none. */
export interface Company {
  /** Other requests that wait, are prepared or run. */
  readonly others: number
  /** More of them that come in a millisecond. */
  readonly arrivalsPerMs: number
}

/** No other request, now or later. */
export const NO_COMPANY: Company = { others: 0, arrivalsPerMs: 0 }

export interface HistoryPlan {
  readonly choice: HistoryChoice
  /** Blocks that are computed, from the front. */
  readonly front: number
  /** Predicted milliseconds until all blocks are there. */
  readonly ms: number
}

/** A plan must save this share of the time of loading, or loading it is: predictions are not that good. */
const LEAST_GAIN = 0.05

/** Milliseconds that all others together wait for `ms` of computing: who is about, all of it, who comes meanwhile, half of it. */
function costMs(ms: number, { others, arrivalsPerMs }: Company): number {
  return ms * (others + (arrivalsPerMs * ms) / 2)
}

/** The front beyond which another block costs the others more than the reading of a block that it saves. */
function worthwhileFront(readMs: number, computeMs: number, { others, arrivalsPerMs }: Company): number {
  const gain = readMs - others * computeMs
  if (gain <= 0) return 0
  return arrivalsPerMs === 0 ? Infinity : gain / (arrivalsPerMs * computeMs ** 2)
}

/** The plan that gains most over loading, less what its computing costs the others. */
export function chooseHistory(question: HistoryQuestion): HistoryPlan {
  const { blocks, readMs, queueMs, computeMs, company } = question
  const load: HistoryPlan = { choice: 'load', front: 0, ms: queueMs + blocks * readMs }
  const meeting = Math.min(blocks, Math.max(0, (queueMs + blocks * readMs) / (computeMs + readMs)))
  const planAt = (front: number): HistoryPlan => ({
    choice: front === 0 ? 'load' : front === blocks ? 'recompute' : 'split',
    front,
    ms: Math.max(front * computeMs, front === blocks ? 0 : queueMs + (blocks - front) * readMs),
  })
  const fronts = [meeting, Math.ceil(meeting), blocks, Math.min(meeting, worthwhileFront(readMs, computeMs, company))]
  const worth = ({ front, ms }: HistoryPlan) => load.ms - ms - costMs(front * computeMs, company)
  const best = fronts.map(front => planAt(Math.floor(front))).reduce((a, b) => (worth(b) > worth(a) ? b : a))
  return worth(best) > 0 && load.ms - best.ms > LEAST_GAIN * load.ms ? best : load
}

export interface FrontQuestion {
  /** Blocks that are neither computed nor there. */
  readonly left: number
  /** Milliseconds to read and to compute a block; 0: not known yet. */
  readonly readMs: number
  readonly computeMs: number
  /** Milliseconds of computing that are under way already. */
  readonly busyMs: number
  readonly company: Company
}

/** Milliseconds that the rest must take to read before a first block is computed to see how long that takes. */
const PROBE_MS = 1000

/**
 * How many more blocks the front computes before it meets the back; 0: what is left comes sooner than it is computed, or
 * computing would cost the others more than it gains.
 */
export function frontBlocks({ left, readMs, computeMs, busyMs, company }: FrontQuestion): number {
  if (readMs === 0) return 0
  if (computeMs === 0) return left * readMs >= PROBE_MS ? 1 : 0
  const meeting = Math.max(0, Math.min(left, Math.floor((left * readMs - busyMs) / (computeMs + readMs))))
  const isNextSooner = meeting < left && busyMs + (meeting + 1) * computeMs < (left - meeting) * readMs
  return Math.min(isNextSooner ? meeting + 1 : meeting, Math.floor(worthwhileFront(readMs, computeMs, company)))
}
