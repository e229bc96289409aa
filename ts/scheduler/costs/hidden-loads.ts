// How much of a load hides behind computing. Pure functions of predicted times.

export interface JoinQuestion {
  /** Predicted milliseconds of load that remain, and of the whole load. */
  readonly remainingMs: number
  readonly totalMs: number
  /** Predicted milliseconds of the next step. */
  readonly stepMs: number
  readonly layers: number
  /** Layers that must be loaded before joining; null: by prediction. */
  readonly preloadLayers: number | null
}

/**
 * Whether a request whose load is under way may join a batch of others. By prediction: the rest of the load is done
 * within 0.9 of the step's time without its first layer (layer l computes while l + 1 is loaded).
 */
export function mayJoin(question: JoinQuestion): boolean {
  const { remainingMs, totalMs, stepMs, layers, preloadLayers } = question
  if (remainingMs <= 0) return true
  if (preloadLayers !== null) return remainingMs <= totalMs * (1 - Math.min(preloadLayers, layers) / layers)
  return remainingMs <= (0.9 * stepMs * (layers - 1)) / layers
}

export interface BufferQuestion {
  /** Predicted milliseconds to load the history, and to compute the new tokens. */
  readonly loadMs: number
  readonly prefillMs: number
  /** Bytes of the history. */
  readonly bytes: number
}

/**
 * Size of the read buffer: what must be in hbm before a request's own step so that the rest of its load hides behind
 * computing, B · (T_load · L_hist − T_pref · L_new) (arXiv 2403.19708, section 3.2.1).
 */
export function readBufferBytes({ loadMs, prefillMs, bytes }: BufferQuestion): number {
  if (!Number.isFinite(loadMs) || loadMs <= prefillMs) return 0
  return (bytes * (loadMs - prefillMs)) / loadMs
}
