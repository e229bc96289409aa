// The hit rate of the policy that runs at other capacities: a cache in miniature for each of some capacities around those that
// the tiers have.

import type { BlockKey } from '../../../engine/types.js'
import { createPolicy } from '../../../placement/registry.js'
import type { PolicyName } from '../../../placement/types.js'
import { perGroup, type TokenTotals } from './groups.js'
import { Miniature } from './miniature.js'
import type { ServedTurn } from './turn.js'
import { WantedKeys } from './wanted.js'

/** Capacities that are followed, as parts of each tier's own. */
const PARTS = [1 / 4, 1 / 2, 1, 2, 4] as const
/** Capacities nearer to each other than this ratio are followed as one. */
const LEAST_RATIO = 1.2

/** Ascending. Those that the tiers have are among them exactly. */
export function followedCapacities(own: readonly number[]): number[] {
  const exact = [...new Set(own.filter(blocks => blocks > 0))]
  const around = exact.flatMap(blocks => PARTS.map(part => Math.max(1, Math.round(blocks * part))))
  const kept = [...exact]
  for (const blocks of around) if (kept.every(other => Math.max(other / blocks, blocks / other) >= LEAST_RATIO)) kept.push(blocks)
  return kept.toSorted((a, b) => a - b)
}

export class Miniatures {
  /** Ascending by capacity. */
  readonly #all: readonly Miniature[]
  readonly #wanted = new WantedKeys((key, firstWanted) => {
    for (const miniature of this.#all) miniature.wanted(key, firstWanted)
  })

  constructor(policy: PolicyName, capacities: readonly number[]) {
    this.#all = capacities.map(blocks => new Miniature(blocks, createPolicy(policy)))
  }

  /** The largest capacity that is followed. */
  get largest(): number {
    return this.#all.at(-1)?.capacity ?? 0
  }

  /** Request number `ticket` waits, and wants the blocks `keys`. */
  queued(ticket: number, keys: readonly BlockKey[]): void {
    this.#wanted.want(ticket, keys)
  }

  /** It wants them no longer. */
  left(ticket: number): void {
    this.#wanted.leave(ticket)
  }

  served(turn: ServedTurn): void {
    this.#wanted.settle()
    for (const miniature of this.#all) miniature.served(turn, key => this.#wanted.firstOf(key))
  }

  /** Each group's estimate at a capacity; between two that are followed, on a straight line over the ratio. */
  rates(blocks: number, totals: TokenTotals): number[] {
    const index = this.#all.findIndex(({ capacity }) => capacity >= blocks)
    const right = this.#all[index === -1 ? this.#all.length - 1 : index]
    const left = this.#all[index - 1]
    if (!right) return perGroup(() => 0)
    if (index === -1 || right.capacity === blocks) return right.rates(totals)
    const to = right.rates(totals)
    // Below the smallest, down to nothing.
    if (!left) return to.map(rate => (rate * blocks) / right.capacity)
    const share = Math.log(blocks / left.capacity) / Math.log(right.capacity / left.capacity)
    return left.rates(totals).map((from, group) => from + share * ((to[group] ?? 0) - from))
  }

  halve(): void {
    for (const miniature of this.#all) miniature.halve()
  }
}
