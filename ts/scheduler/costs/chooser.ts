// Load or recompute, or both: the question put together from what was measured.

import type { CostModel } from './cost-model.js'
import { chooseHistory, type HistoryChoice } from './load-or-recompute.js'
import type { Traffic } from './traffic.js'

export class HistoryChooser {
  readonly #history: 'auto' | HistoryChoice
  readonly #costs: CostModel
  readonly #traffic: Traffic
  readonly #backlog: () => number

  /** `history`: what an operator fixed, or `auto`. `backlog`: reads that are waited for, under way or not yet. */
  constructor(history: 'auto' | HistoryChoice, costs: CostModel, traffic: Traffic, backlog: () => number) {
    this.#history = history
    this.#costs = costs
    this.#traffic = traffic
    this.#backlog = backlog
  }

  /** For a waiting request of whose history `blocks` blocks lie on ssd alone. */
  choose(blocks: number): HistoryChoice {
    if (this.#history !== 'auto') return this.#history
    const { readMs, blockMs: computeMs } = this.#costs
    const company = this.#traffic.besideOne
    // Before anything was measured, a request that is alone finds out: the front begins when the back turns out to be slow.
    if (readMs === 0 || computeMs === 0) return company.others === 0 ? 'split' : 'load'
    return chooseHistory({ blocks, readMs, queueMs: this.#backlog() * readMs, computeMs, company }).choice
  }
}
