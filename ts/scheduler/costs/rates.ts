// What steps and transfers have been taking, to predict what the next ones will take. Only speed depends on it.

/** Weight of the newest figure. */
const NEWEST = 0.2
/** Rows from which a step's time says what a row of prefill takes. */
const PREFILL_ROWS = 32

export class Rates {
  /** Milliseconds of a step, by log2 of its rows. */
  readonly #stepMs: Array<number | undefined> = []
  #loadBytesPerMs = 0
  #prefillMsPerRow = 0

  stepTook(rows: number, ms: number): void {
    if (rows >= PREFILL_ROWS) this.#prefillMsPerRow = blend(this.#prefillMsPerRow, ms / rows)
    const bucket = bucketOf(rows)
    const before = this.#stepMs[bucket]
    this.#stepMs[bucket] = before === undefined ? ms : before + NEWEST * (ms - before)
  }

  loadTook(bytes: number, ms: number): void {
    if (ms <= 0 || bytes <= 0) return
    this.#loadBytesPerMs = blend(this.#loadBytesPerMs, bytes / ms)
  }

  /** Predicted milliseconds to compute `rows` rows of prefill; 0: none were seen. */
  prefillMs(rows: number): number {
    return rows * this.#prefillMsPerRow
  }

  /** Predicted milliseconds of a step of `rows` rows, from the nearest size seen; 0: none was seen. */
  stepMs(rows: number): number {
    const bucket = bucketOf(rows)
    for (let distance = 0; distance < 32; distance++) {
      const ms = this.#stepMs[bucket + distance] ?? this.#stepMs[bucket - distance]
      if (ms !== undefined) return ms
    }
    return 0
  }

  /** Predicted milliseconds to load `bytes`; Infinity before the first load, so that it is waited for. */
  loadMs(bytes: number): number {
    if (bytes === 0) return 0
    return this.#loadBytesPerMs === 0 ? Infinity : bytes / this.#loadBytesPerMs
  }
}

/** 0 stands for nothing seen yet. */
function blend(before: number, newest: number): number {
  return before === 0 ? newest : before + NEWEST * (newest - before)
}

function bucketOf(rows: number): number {
  return Math.ceil(Math.log2(Math.max(1, rows)))
}

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
