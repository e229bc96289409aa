// The hit rate of the server's policy at any capacity, from the requests that pass. Tokens count, not blocks: a block that is
// asked for weighs as many tokens as the prompt has in it. For `lru` the distances of a stack give all capacities at once.
// That a block is of use only with its whole prefix needs no rule there: a request that uses a block uses what lies before it,
// and after it in time (heads are touched last, as `lru` gives up tails first), so nothing in the stack lies above its own
// prefix. Other policies run in miniature, at some capacities.

import type { BlockKey, TierName } from '../../../engine/types.js'
import type { PolicyName } from '../../../placement/types.js'
import { perTier, TIER_NAMES } from '../../../protocol/tiers.js'
import { estimateOf, groupOf, GROUPS, perGroup, ratesOf, type Estimate, type TokenTotals } from './groups.js'
import { followedCapacities, Miniatures } from './miniatures.js'
import { SampledStack } from './sampled-stack.js'
import type { Asked, ServedTurn } from './turn.js'

/** Blocks that the stack follows at most: some 4 MiB. */
const MOST_BLOCKS = 16_384
/** Bins of distance: one each for the first `SINGLE_BINS`, then `BINS_AN_OCTAVE` an octave, in which the curve is a straight line. */
const SINGLE_BINS = 32
const BINS_AN_OCTAVE = 16
const BINS = SINGLE_BINS + 35 * BINS_AN_OCTAVE
/** Requests after which earlier counts weigh half as much. */
const HALF_LIFE = 100_000

export interface CurveOptions {
  readonly policy: PolicyName
  /** Blocks that each tier holds. */
  readonly capacities: readonly number[]
  /** Blocks that the stack follows at most. @default 16,384 */
  readonly mostBlocks?: number
}

export class HitRateCurve {
  readonly #stack: SampledStack
  /** null: the policy is the stack's. */
  readonly #miniatures: Miniatures | null
  /** By group and bin of distance: tokens that were asked for, scaled up. */
  readonly #tokens = Array.from({ length: GROUPS }, () => new Float64Array(BINS))
  /** By group: all tokens that were asked for and followed, scaled up. */
  readonly #followed = new Float64Array(GROUPS)
  /** Of all requests. */
  #totals: TokenTotals = { prompt: 0, asked: 0 }
  readonly #reused = perTier(() => 0)
  #requests = 0
  #sinceHalved = 0

  constructor({ policy, capacities, mostBlocks = MOST_BLOCKS }: CurveOptions) {
    this.#stack = new SampledStack(mostBlocks)
    this.#miniatures = policy === 'lru' ? null : new Miniatures(policy, followedCapacities(capacities))
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

  /** The share of prompt tokens that a cache without a bound would have had. */
  get attainable(): number {
    const { prompt, asked } = this.#totals
    return prompt === 0 ? 0 : asked / prompt
  }

  /** The share of prompt tokens that were reused, from any of `tiers`: measured, of the same requests. */
  measured(tiers: readonly TierName[]): number {
    const { prompt } = this.#totals
    return prompt === 0 ? 0 : tiers.reduce((sum, tier) => sum + this.#reused[tier], 0) / prompt
  }

  /** Request number `ticket` waits, and wants the blocks `keys`. */
  queued(ticket: number, keys: readonly BlockKey[]): void {
    this.#miniatures?.queued(ticket, keys)
  }

  /** It has ended. */
  left(ticket: number): void {
    this.#miniatures?.left(ticket)
  }

  /** `reused`: tokens of the prompt that were not computed. */
  served(turn: ServedTurn, reused: Readonly<Record<TierName, number>>): void {
    const { promptTokens, asked, chain } = turn
    this.#requests++
    const { prompt, asked: before } = this.#totals
    this.#totals = { prompt: prompt + promptTokens, asked: before + asked.reduce((sum, { tokens }) => sum + tokens, 0) }
    for (const tier of TIER_NAMES) this.#reused[tier] += reused[tier]
    for (const block of asked) this.#ask(block)
    for (const { key, isTail } of asked) if (isTail) this.#stack.remove(key)
    for (let at = chain.length - 1; at >= 0; at--) this.#stack.use(chain[at] as BlockKey)
    this.#miniatures?.served(turn)
    if (++this.#sinceHalved === HALF_LIFE) this.#halve()
  }

  /** The share of prompt tokens that a cache of `blocks` blocks would have had. */
  at(blocks: number): Estimate {
    return estimateOf(this.#rates(blocks))
  }

  /** How much the hit rate of a cache of `to` blocks differs from that of one of `from`. */
  difference(from: number, to: number): Estimate['error'] {
    const before = this.#rates(from)
    return estimateOf(this.#rates(to).map((rate, group) => rate - (before[group] ?? 0))).error
  }

  #ask({ key, tokens }: Asked): void {
    if (!this.#stack.isFollowed(key)) return
    const group = groupOf(key)
    const weight = tokens / this.#stack.rate
    this.#followed[group] = (this.#followed[group] ?? 0) + weight
    const distance = this.#stack.distance(key)
    const bins = this.#tokens[group] as Float64Array
    if (distance < Infinity) bins[binOf(distance)] = (bins[binOf(distance)] ?? 0) + weight
  }

  #rates(blocks: number): number[] {
    if (blocks < 1) return perGroup(() => 0)
    const ofPolicy = this.#miniatures?.rates(blocks, this.#totals)
    if (this.#miniatures && ofPolicy && blocks <= this.#miniatures.largest) return ofPolicy
    const ofStack = ratesOf(this.#totals, group => tokensWithin(this.#tokens[group] as Float64Array, blocks), this.#followed)
    // Beyond the capacities that are followed only blocks that were in use long ago are left: there policies differ least.
    return ofPolicy ? ofStack.map((rate, group) => Math.max(rate, ofPolicy[group] ?? 0)) : ofStack
  }

  #halve(): void {
    this.#sinceHalved = 0
    this.#totals = { prompt: this.#totals.prompt / 2, asked: this.#totals.asked / 2 }
    for (const tier of TIER_NAMES) this.#reused[tier] /= 2
    this.#miniatures?.halve()
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
