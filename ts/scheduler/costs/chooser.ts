// Load or recompute, or both: the question put together from what was measured.

import type { Clock } from '../../engine/clock.js'
import { BLOCK_TOKENS } from '../../engine/types.js'
import { chooseHistory, type HistoryChoice } from './load-or-recompute.js'
import type { Rates } from './rates.js'
import type { Traffic } from './traffic.js'

/** The reads of the disk. */
export interface DiskPace {
  /** Reads that are waited for, under way or not yet. */
  readonly backlog: number
  /** Milliseconds a block, while there is work; 0: not known yet. */
  msEach(now: number): number
}

export interface ChooserGrounds {
  readonly options: { readonly history: 'auto' | HistoryChoice }
  readonly rates: Rates
  readonly clock: Clock
}

export class HistoryChooser {
  readonly #grounds: ChooserGrounds
  readonly #disk: DiskPace
  readonly #traffic: Traffic

  constructor(grounds: ChooserGrounds, disk: DiskPace, traffic: Traffic) {
    this.#grounds = grounds
    this.#disk = disk
    this.#traffic = traffic
  }

  /** For a waiting request of whose history so many blocks lie on ssd alone. */
  choose(blocks: number): HistoryChoice {
    const { options, rates, clock } = this.#grounds
    if (options.history !== 'auto') return options.history
    const readMs = this.#disk.msEach(clock.now())
    const computeMs = rates.prefillMs(BLOCK_TOKENS)
    const company = this.#traffic.besideOne
    // Before anything was measured, whoever is alone finds out: the front begins when the back turns out to be slow.
    if (readMs === 0 || computeMs === 0) return company.others === 0 ? 'split' : 'load'
    return chooseHistory({ blocks, readMs, queueMs: this.#disk.backlog * readMs, computeMs, company }).choice
  }
}
