// Load or recompute, or both: the question put together from what was measured.

import { BLOCK_TOKENS } from '../../engine/types.js'
import type { Core } from '../core/core.js'
import { chooseHistory, type HistoryChoice } from './load-or-recompute.js'
import type { Reads } from '../moves/reads.js'
import type { Traffic } from './traffic.js'

export class HistoryChooser {
  readonly #core: Core
  readonly #reads: Reads
  readonly #traffic: Traffic

  constructor(core: Core, reads: Reads, traffic: Traffic) {
    this.#core = core
    this.#reads = reads
    this.#traffic = traffic
  }

  /** For a waiting request of whose history so many blocks lie on ssd alone. */
  choose(blocks: number): HistoryChoice {
    const { options, rates, clock } = this.#core
    if (options.history !== 'auto') return options.history
    const readMs = this.#reads.msEach(clock.now())
    const computeMs = rates.prefillMs(BLOCK_TOKENS)
    const company = this.#traffic.besideOne
    // Before anything was measured, whoever is alone finds out: the front begins when the back turns out to be slow.
    if (readMs === 0 || computeMs === 0) return company.others === 0 ? 'split' : 'load'
    return chooseHistory({ blocks, readMs, queueMs: this.#reads.backlog * readMs, computeMs, company }).choice
  }
}
