// How a prompt was served: which tokens came from which tier, which were computed, and why.

import type { Directory } from '../../directory/directory.js'
import type { Match } from '../../directory/match.js'
import { BLOCK_TOKENS, type BlockKey, type TierName, type TokenRange } from '../../engine/types.js'
import { perTier } from '../../protocol/tiers.js'
import { explainMisses, joinMisses, scoredPrompt, type Misses } from '../accounts/misses.js'
import type { Asked } from '../accounts/what-if/turn.js'
import type { Progress } from './progress.js'
import type { Start } from './start.js'
import type { TokenList } from './tokens.js'

/** The parts of a sequence that are looked at. */
export interface Prompted {
  readonly root: BlockKey
  readonly keys: readonly BlockKey[]
  readonly tokens: TokenList
  readonly promptLength: number
  readonly isScored: boolean
  readonly start: Pick<Start, 'leftOut'>
  readonly serving: Serving
  readonly progress: Pick<Progress, 'highWater'>
  readonly wishes: { readonly withoutReasoning?: readonly TokenRange[] }
}

/** Settled when the first of the prompt's rows is computed. */
export interface PromptSplit {
  readonly reused: Record<TierName, number>
  computed: number
  readonly outsideView: number
  /** Why the computed tokens were not reused. */
  misses: Misses
  /** The blocks behind what was reused, or would have been if they were still there. */
  readonly asked: readonly Asked[]
  /** Tokens of the history, and the tier that each of its view blocks counts for. */
  readonly length: number
  readonly tiers: ReadonlyArray<TierName | undefined>
}

/** How the prompt of one sequence is served, from the queue on. */
export class Serving {
  #tiers: ReadonlyArray<TierName | undefined> = []
  #split: PromptSplit | null = null
  #isSettled = false
  #unanswered: ReadonlySet<BlockKey> = new Set()

  /** Before the first rows are computed, it is only what was meant; null: not even that is known. */
  get split(): PromptSplit | null {
    return this.#split
  }

  /** Once rows are computed; null: none are. */
  get settled(): PromptSplit | null {
    return this.#isSettled ? this.#split : null
  }

  /** The tiers of its blocks when the request was queued are known. */
  get hasTiers(): boolean {
    return this.#tiers.length > 0
  }

  /** Where matched block `index` lay when the request was queued. */
  tierOf(index: number): TierName | undefined {
    return this.#tiers[index]
  }

  /** The request is queued, and its matched blocks lie in these tiers, by block index. */
  queued(tiers: ReadonlyArray<TierName | undefined>): void {
    this.#tiers = tiers
  }

  /** Keys of blocks of which no tier said in time whether it has them. */
  get unanswered(): ReadonlySet<BlockKey> {
    return this.#unanswered
  }

  leaveUnanswered(keys: readonly BlockKey[]): void {
    this.#unanswered = new Set(keys)
  }

  /** The sequence has got its slots; what was settled stays. */
  acquired(split: () => PromptSplit): void {
    if (!this.#isSettled) this.#split = split()
  }

  /** Rows of it are computed. */
  settle(): void {
    this.#isSettled = true
  }
}

/** A block's tier is the one it lay in when the request was queued. */
export function splitOf(directory: Directory, sequence: Prompted, match: Match): PromptSplit {
  const reused = perTier(() => 0)
  const tiers: Array<TierName | undefined> = []
  let inView = 0
  for (const { index, block, rows } of match.sources) {
    const tier = sequence.serving.tierOf(index) ?? block.tier ?? 'ssd'
    tiers[index] = tier
    reused[tier] += rows
    inView += rows
  }
  const { promptLength, start } = sequence
  const { length } = match
  const misses = sequence.isScored ? scoredPrompt(promptLength) : missesOf(directory, sequence, length, promptLength, false)
  const found = match.sources.map(({ block, rows }) => ({ key: block.key, tokens: rows, isTail: block.valid < BLOCK_TOKENS }))
  const asked = [...found, ...misses.asked]
  return { reused, computed: promptLength - length, outsideView: start.leftOut + length - inView, misses, asked, length, tiers }
}

/**
 * Rows [from, to) are computed. Those of them that are history in a tier count as computed after all, each token once:
 * it was as fast, or its block turned out damaged. Of what is there and was computed all the same no better reason is known.
 */
export function countComputed(directory: Directory, sequence: Prompted, from: number, to: number): void {
  const { split } = sequence.serving
  const { highWater } = sequence.progress
  if (!split) return
  const end = Math.min(to, split.length)
  for (let start = Math.max(from, highWater); start < end; ) {
    const index = Math.floor(start / BLOCK_TOKENS)
    const next = Math.min(end, (index + 1) * BLOCK_TOKENS)
    const tier = split.tiers[index]
    if (tier !== undefined) {
      split.reused[tier] -= next - start
      split.computed += next - start
      split.misses = joinMisses(split.misses, missesOf(directory, sequence, start, next, true))
    }
    start = next
  }
}

function missesOf(directory: Directory, sequence: Prompted, from: number, to: number, wereThere: boolean): Misses {
  const { root, keys, tokens, start, wishes, serving: { unanswered } } = sequence
  // The part that the sequence leaves out lies before all of them, or they are out of sight.
  const withoutReasoning = (wishes.withoutReasoning ?? []).map(([a, b]): TokenRange => [a - start.leftOut, b - start.leftOut])
  return explainMisses(directory, { root, keys, tokens: tokens.view(0, to), from, to, wereThere, withoutReasoning, unanswered })
}
