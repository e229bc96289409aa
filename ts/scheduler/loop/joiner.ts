// When a request whose blocks are being loaded may run.

import type { Core } from '../core/core.js'
import { mayJoin } from '../costs/hidden-loads.js'
import type { Sequence } from '../sequence/sequence.js'

export class Joiner {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** Among `active`; `isComputing`: a step is under way. */
  mayRun(sequence: Sequence, active: readonly Sequence[], isComputing: boolean): boolean {
    const { options, costs, engine } = this.#core
    const { front } = sequence.progress
    if (front) return front.rows > 0
    if (sequence.loading.hasFailed || sequence.loading.pendingReads > 0) return false
    if (sequence.loading.pending === 0) return true
    if (!options.preload) return false
    const others = active.filter(other => other.state === 'running' && other.plannableRows > 0)
    if (others.length === 0 && !isComputing) return true
    const { layers } = engine.info
    const stepMs = costs.stepMs(others.length + Math.min(sequence.remainingRows, options.maxBatchTokens))
    return mayJoin({ ...this.#loadOf(sequence), stepMs, layers, preloadLayers: options.preloadLayers })
  }

  #loadOf({ loading }: Sequence): { remainingMs: number; totalMs: number } {
    const { costs, engine, clock } = this.#core
    const totalMs = costs.loadMs(loading.bytes)
    const elapsed = clock.now() - loading.startedAt
    const outstandingMs = costs.loadMs(loading.pending * engine.info.blockBytes)
    return { remainingMs: Math.min(outstandingMs, Math.max(0, totalMs - elapsed)), totalMs }
  }
}
