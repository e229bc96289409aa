// The hit rate of an LRU cache of any capacity, from the requests that pass. Tokens count, not blocks: a block that is
// asked for weighs as many tokens as the prompt has in it. That a block is of use only with its whole prefix needs no
// rule of its own: a request that uses a block uses what lies before it, and after it in time (heads are touched last, as `lru`
// gives up tails first), so nothing in the stack lies above its own prefix.

import { keyWord } from '../../../directory/key-filter.js'
import type { BlockKey } from '../../../engine/types.js'
import { SampledStack } from './sampled-stack.js'

/** A block that was here before, and the tokens of the prompt in it. */
export interface Asked {
  readonly key: BlockKey
  readonly tokens: number
  /** A partly filled block, which the request takes over into a longer one. */
  readonly isTail: boolean
}

export interface Estimate {
  /** 0 … 1. */
  readonly hitRate: number
  /** Half width of the 95 % interval of the sampling. */
  readonly error: number
}

/** Blocks that are followed at most: some 4 MiB. */
const MOST_BLOCKS = 16_384
/** Blocks are counted in groups by hash; how much these differ says how good the sample is. */
const GROUPS = 8
/** Two-sided 95 % of Student's t with GROUPS − 1 degrees of freedom. */
const T_95 = 2.365
/** Bins of distance: one each for the first `SINGLE_BINS`, then `BINS_AN_OCTAVE` an octave, in which the curve is a straight line. */
const SINGLE_BINS = 32
const BINS_AN_OCTAVE = 16
const BINS = SINGLE_BINS + 35 * BINS_AN_OCTAVE
/** Requests after which earlier counts weigh half as much. */
const HALF_LIFE = 100_000
/** Another word of the key than the one that chooses the sample. */
const GROUP_WORD = 6

export class HitRateCurve {
  readonly #stack: SampledStack
  /** By group and bin of distance: tokens that were asked for, scaled up. */
  readonly #tokens = Array.from({ length: GROUPS }, () => new Float64Array(BINS))
  /** By group: all tokens that were asked for and followed, scaled up. */
  readonly #followed = new Float64Array(GROUPS)
  /** Of all requests: prompt tokens, and those in blocks that were here before. */
  #promptTokens = 0
  #askedTokens = 0
  #requests = 0
  #sinceHalved = 0

  constructor(mostBlocks = MOST_BLOCKS) {
    this.#stack = new SampledStack(mostBlocks)
  }

  get requests(): number {
    return this.#requests
  }

  get samplingRate(): number {
    return this.#stack.rate
  }

  get sampledBlocks(): number {
    return this.#stack.size
  }

  /** Blocks in use, all together: beyond this capacity the curve is flat. */
  get workingSet(): number {
    return this.#stack.size / this.#stack.rate
  }

  /**
   * A request of `promptTokens` tokens found or missed the blocks `asked`, which were here once, and leaves the blocks
   * `chain`, head first, behind.
   */
  served(promptTokens: number, asked: readonly Asked[], chain: readonly BlockKey[]): void {
    this.#requests++
    this.#promptTokens += promptTokens
    for (const block of asked) this.#ask(block)
    for (const { key, isTail } of asked) if (isTail) this.#stack.remove(key)
    for (let at = chain.length - 1; at >= 0; at--) this.#stack.use(chain[at] as BlockKey)
    if (++this.#sinceHalved === HALF_LIFE) this.#halve()
  }

  /** The share of prompt tokens that a cache of `blocks` blocks would have had. */
  at(blocks: number): Estimate {
    return summary(this.#byGroup(blocks))
  }

  /** What `more` blocks beside `blocks` would add to the hit rate. */
  gain(blocks: number, more: number): Estimate {
    const before = this.#byGroup(blocks)
    return summary(this.#byGroup(blocks + more).map((rate, group) => rate - (before[group] ?? 0)))
  }

  #ask({ key, tokens }: Asked): void {
    this.#askedTokens += tokens
    if (!this.#stack.isFollowed(key)) return
    const group = keyWord(key, GROUP_WORD) % GROUPS
    const weight = tokens / this.#stack.rate
    this.#followed[group] = (this.#followed[group] ?? 0) + weight
    const distance = this.#stack.distance(key)
    const bins = this.#tokens[group] as Float64Array
    if (distance < Infinity) bins[binOf(distance)] = (bins[binOf(distance)] ?? 0) + weight
  }

  /**
   * Each group's estimate of the whole. The difference between a group's part and its share is put down to blocks that are
   * asked for all the time (a system prompt is in the sample or is not), which every cache has (SHARDS-adj).
   */
  #byGroup(blocks: number): number[] {
    if (this.#promptTokens === 0 || blocks < 1) return Array.from({ length: GROUPS }, () => 0)
    const share = this.#askedTokens / GROUPS
    return this.#tokens.map((bins, group) => {
      const hits = tokensWithin(bins, blocks) + share - (this.#followed[group] ?? 0)
      return (hits * GROUPS) / this.#promptTokens
    })
  }

  #halve(): void {
    this.#sinceHalved = 0
    this.#promptTokens /= 2
    this.#askedTokens /= 2
    for (const values of [this.#followed, ...this.#tokens]) values.forEach((value, i) => (values[i] = value / 2))
  }
}

function binOf(distance: number): number {
  return Math.min(BINS - 1, Math.floor(placeOf(distance)))
}

/** Where a distance lies in the bins, with a fraction. */
function placeOf(distance: number): number {
  if (distance < SINGLE_BINS) return distance
  return Math.min(BINS, SINGLE_BINS + BINS_AN_OCTAVE * Math.log2(distance / SINGLE_BINS))
}

/** Tokens at distances below `blocks`: a block with d others above it is there in a cache of d + 1. */
function tokensWithin(bins: Float64Array, blocks: number): number {
  const place = placeOf(blocks)
  const whole = Math.floor(place)
  let sum = 0
  for (let bin = 0; bin < whole; bin++) sum += bins[bin] ?? 0
  return sum + (place - whole) * (bins[whole] ?? 0)
}

function summary(rates: readonly number[]): Estimate {
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / (rates.length - 1)
  return { hitRate: Math.min(1, Math.max(0, mean)), error: T_95 * Math.sqrt(variance / rates.length) }
}
