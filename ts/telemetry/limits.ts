// How fast bytes can move at best: the fastest that was seen, while transfers ran, over an interval that moved enough of
// them to mean something. An operator's own limit goes before.

import type { EngineStats } from '../engine/types.js'
import type { TransferSample } from '../protocol/events.js'
import { perStream, STREAM_NAMES, type StreamName } from '../protocol/lanes.js'

/** Bytes a second that may be read from and written to the disk; null: no limit. */
export interface ConfiguredLimits {
  readonly read: number | null
  readonly write: number | null
}

/** Less than this many milliseconds of transfers say little. */
const LEAST_MS = 5
const MS_PER_S = 1000
const NOTHING = { bytes: 0, ms: 0 }

/** Bytes moved since start, and the milliseconds in which any moved. */
export function transferred(stats: EngineStats, kind: StreamName): { bytes: number; ms: number } {
  return { bytes: stats[`${kind}Bytes`], ms: stats[`${kind}Ms`] }
}

export class BandwidthLimits {
  readonly #configured: ConfiguredLimits
  readonly #best: Record<StreamName, number> = perStream(() => 0)
  readonly #counted: Record<StreamName, { bytes: number; ms: number }> = perStream(() => NOTHING)

  constructor(configured: ConfiguredLimits) {
    this.#configured = configured
  }

  /** Figures since start. Intervals with too little in them run on into the next. */
  observe(stats: EngineStats): void {
    for (const kind of STREAM_NAMES) {
      const now = transferred(stats, kind)
      const before = this.#counted[kind]
      if (now.ms - before.ms < LEAST_MS) continue
      this.#best[kind] = Math.max(this.#best[kind], ((now.bytes - before.bytes) * MS_PER_S) / (now.ms - before.ms))
      this.#counted[kind] = now
    }
  }

  of(kind: StreamName): TransferSample['limit'] {
    const configured = kind === 'read' || kind === 'write' ? this.#configured[kind] : null
    if (configured !== null) return { bytesPerS: configured, basis: 'configured' }
    return this.#best[kind] === 0 ? null : { bytesPerS: this.#best[kind], basis: 'measured' }
  }
}
