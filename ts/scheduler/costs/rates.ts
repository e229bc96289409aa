// The times of past steps and transfers, to predict those of the next ones. Only speed depends on it.

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
