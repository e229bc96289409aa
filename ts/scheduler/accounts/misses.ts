// Why prompt tokens are computed: what is known of the blocks that a match did not find. Keys are salted by tenant, so
// another tenant's blocks are as unknown as tokens that no request ever sent.

import type { Directory } from '../../directory/directory.js'
import type { Ghost } from '../../directory/ghosts.js'
import { BLOCK_TOKENS, type BlockKey, type TokenRange } from '../../engine/types.js'
import type { Asked } from './what-if/turn.js'

/** Tokens by reason. Together they are the tokens that were asked about. */
export interface MissedTokens {
  readonly neverSeen: number
  /** New because an answer's reasoning, which it was generated behind, is not in the prompt. */
  readonly reasoningDropped: number
  /** The request asks for log probabilities of its prompt, which only computing gives. */
  readonly promptScored: number
  readonly evicted: number
  readonly damaged: number
  /** Were here, and left longer ago than is remembered; or a tier did not say in time whether it has them. */
  readonly unknown: number
}

/** The fate of tokens that were here once. */
export interface Loss {
  readonly tokens: number
  readonly ghost: Ghost
}

export interface Misses {
  readonly tokens: MissedTokens
  readonly losses: readonly Loss[]
  /** The blocks that were here once. */
  readonly asked: readonly Asked[]
  /** Full blocks that are there, and of no use because one before them is not. */
  readonly stranded: number
}

export const NO_MISSES: Misses = { tokens: { neverSeen: 0, reasoningDropped: 0, promptScored: 0, evicted: 0, damaged: 0, unknown: 0 }, losses: [], asked: [], stranded: 0 }

/** A chain of blocks, of which tokens [from, to) were not found. `keys` are those of its full blocks. */
export interface Missed {
  readonly root: BlockKey
  readonly keys: readonly BlockKey[]
  readonly tokens: Uint32Array
  readonly from: number
  readonly to: number
  /** They were all in some tier when the request was queued. */
  readonly wereThere: boolean
  /** Ascending: those of answers whose reasoning was left out. */
  readonly withoutReasoning: readonly TokenRange[]
  /** No tier said in time whether it has these. @default none */
  readonly unanswered?: ReadonlySet<BlockKey>
}

/** Those of both. */
export function joinMisses(a: Misses, b: Misses): Misses {
  const tokens = {
    neverSeen: a.tokens.neverSeen + b.tokens.neverSeen,
    reasoningDropped: a.tokens.reasoningDropped + b.tokens.reasoningDropped,
    promptScored: a.tokens.promptScored + b.tokens.promptScored,
    evicted: a.tokens.evicted + b.tokens.evicted,
    damaged: a.tokens.damaged + b.tokens.damaged,
    unknown: a.tokens.unknown + b.tokens.unknown,
  }
  return { tokens, losses: [...a.losses, ...b.losses], asked: [...a.asked, ...b.asked], stranded: a.stranded + b.stranded }
}

/** Those of a prompt of which every token is computed because the request asks about it. */
export function scoredPrompt(tokens: number): Misses {
  return { ...NO_MISSES, tokens: { ...NO_MISSES.tokens, promptScored: tokens } }
}

type Memory = Pick<Directory, 'blocks' | 'ghosts'>

/** The knowledge of a block that cannot be used. */
type Fate = Ghost | 'unknown' | 'never seen'

/**
 * The reasons for tokens [from, to). A block that is there but lies behind one that is not has that one's reason. The
 * token that the answer is sampled from is computed though its block may be there: nothing was lost, so it counts as
 * never seen. Of tokens that were there and nothing happened to, no reason is known.
 */
export function explainMisses(memory: Memory, missed: Missed): Misses {
  const count = new MissCount()
  let before: Fate = 'never seen'
  for (let index = Math.floor(missed.from / BLOCK_TOKENS); index * BLOCK_TOKENS < missed.to; index++) {
    const from = Math.max(missed.from, index * BLOCK_TOKENS)
    const to = Math.min(missed.to, (index + 1) * BLOCK_TOKENS)
    const key = missed.keys[index]
    const fate = fateOf(memory, missed, index, before)
    if (key === undefined || fate === 'never seen') {
      addTail(memory, missed, index, count)
      // This block was never here, so neither was a block that continues it.
      break
    }
    count.add(fate, { key, tokens: to - from, isTail: false })
    if (memory.blocks.get(key)?.tier) count.stranded++
    before = fate
  }
  return count.misses(missed)
}

class MissCount {
  stranded = 0
  readonly #tokens = { evicted: 0, damaged: 0, unknown: 0 }
  readonly #losses: Loss[] = []
  readonly #asked: Asked[] = []

  add(fate: Ghost | 'unknown', asked: Asked): void {
    const { tokens } = asked
    if (tokens <= 0) return
    this.#asked.push(asked)
    if (fate === 'unknown') {
      this.#tokens.unknown += tokens
      return
    }
    this.#tokens[fate.cause === 'damaged' ? 'damaged' : 'evicted'] += tokens
    this.#losses.push({ tokens, ghost: fate })
  }

  misses({ from, to, wereThere, withoutReasoning }: Missed): Misses {
    const { evicted, damaged, unknown } = this.#tokens
    const rest = to - from - evicted - damaged - unknown
    // Tokens that were here once come first, and new ones behind them.
    const reasoningDropped = wereThere ? 0 : overlap(to - rest, to, withoutReasoning)
    const neverSeen = wereThere ? 0 : rest - reasoningDropped
    const tokens = { neverSeen, reasoningDropped, promptScored: 0, evicted, damaged, unknown: unknown + (wereThere ? rest : 0) }
    return { tokens, losses: this.#losses, asked: this.#asked, stranded: this.stranded }
  }
}

function overlap(from: number, to: number, ranges: readonly TokenRange[]): number {
  return ranges.reduce((total, [start, end]) => total + Math.max(0, Math.min(to, end) - Math.max(from, start)), 0)
}

function fateOf({ blocks, ghosts }: Memory, { keys, unanswered }: Missed, index: number, before: Fate): Fate {
  const key = keys[index]
  if (key === undefined) return 'never seen'
  if (blocks.get(key)?.tier) return before
  return ghosts.get(key) ?? (ghosts.isForgotten(key) || unanswered?.has(key) ? 'unknown' : 'never seen')
}

/** The leading tokens of the first block that was never full here may have been the tail of an earlier turn. */
function addTail({ ghosts }: Memory, { root, keys, tokens, from, to }: Missed, index: number, count: MissCount): void {
  const parent = index === 0 ? root : keys[index - 1]
  const start = index * BLOCK_TOKENS
  if (parent === undefined) return
  const tail = ghosts.tailAfter(parent, tokens.subarray(start, Math.min(to, start + BLOCK_TOKENS)))
  if (tail) count.add(tail.ghost, { key: tail.key, tokens: start + tail.rows - Math.max(start, from), isTail: true })
}
