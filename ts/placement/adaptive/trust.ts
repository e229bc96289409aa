// How far what was learnt is trusted. Where nearly everything that comes back is still there, a few old blocks decide, of
// which little is known, and LRU's guess is hard to better: then only large differences in worth count.

/** Share of the returning blocks that are still there: below the first all differences count, from the second on only large ones. */
const TRUSTED_BELOW = 0.6
const CAUTIOUS_FROM = 0.85
/** Logarithm of the ratio of two worths that then still count as equal. */
const MOST_CAUTION = Math.LN2
/** What a refresh leaves of the counts before it. */
const MEMORY = 0.99
/** Returns before which nothing is concluded. */
const FEW = 1000

export class Trust {
  #kept = 0
  #lost = 0

  /** A block came back, and was or was not still there. */
  returned(wasThere: boolean): void {
    if (wasThere) this.#kept++
    else this.#lost++
  }

  /** The logarithm of the ratio of two worths that count as equal; 0: all differences count. */
  refresh(): number {
    const returns = this.#kept + this.#lost
    const share = this.#kept / (returns + FEW)
    this.#kept *= MEMORY
    this.#lost *= MEMORY
    return MOST_CAUTION * Math.min(1, Math.max(0, (share - TRUSTED_BELOW) / (CAUTIOUS_FROM - TRUSTED_BELOW)))
  }
}
